from __future__ import annotations

import json

import torch
from torch import nn

from helpers import randomise
from musegen.fingerprint import compare, hash_data, hash_tensor, hash_weights, machine


def test_comparing_names_every_field_that_differs() -> None:
    first = {"torch": "2.13", "text2muq": {"lane": 1, "sampler": {"class_path": "a", "init_args": {}}}, "threads": 1}
    second = {"torch": "2.13", "text2muq": {"lane": 4, "sampler": {"class_path": "b", "init_args": {}}}, "seed": 3}
    assert compare(first, first) == {}
    assert compare(first, second) == {
        "text2muq.lane": (1, 4),
        "text2muq.sampler.class_path": ("a", "b"),
        "threads": (1, None),
        "seed": (None, 3),
    }


def test_machine_survives_json_and_notices_threads() -> None:
    found = machine(torch.device("cpu"))
    assert compare(found, json.loads(json.dumps(found))) == {}
    assert found["backend"] == "cpu"
    assert found["device"]
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert compare(found, machine(torch.device("cpu"))) == {"threads": (threads, threads + 1)}
    finally:
        torch.set_num_threads(threads)


def test_a_hash_notices_one_bit_a_name_a_shape_and_a_type() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    randomise(module)
    before = hash_weights(module)
    assert hash_weights(module) == before
    with torch.no_grad():
        bits = module[0].weight.view(torch.int32)
        bits[0, 0] ^= 1
    assert hash_weights(module) != before
    with torch.no_grad():
        bits[0, 0] ^= 1
    assert hash_weights(module) == before
    assert hash_weights(nn.ModuleDict({"a": module})) != hash_weights(nn.ModuleDict({"b": module}))
    zeros = torch.zeros(2, 3)
    assert len({hash_tensor(zeros), hash_tensor(zeros.T), hash_tensor(zeros.int()), hash_tensor(zeros.double())}) == 4
    assert hash_tensor(zeros.T) == hash_tensor(zeros.T.contiguous())
    hash_tensor(torch.tensor(1.0))


def test_the_order_of_keys_does_not_matter() -> None:
    assert hash_data({"a": 1, "b": [2]}) == hash_data({"b": [2], "a": 1})
    assert hash_data({"a": 1, "b": [2]}) != hash_data({"a": 1, "b": [3]})
