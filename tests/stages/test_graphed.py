from __future__ import annotations

import logging

import pytest
import torch
from torch.utils.data import DataLoader

from musegen.models.oobleck import OobleckAutoencoder
from musegen.stages.graphed import GraphedLosses
from musegen.stages.oobleck_vae import OobleckVAE
from vae_runs import flat, items, stage, trainer


def trained(folder, graphed: bool, monkeypatch, **options) -> OobleckVAE:
    """Two epochs of three batches, the last of them of one item; a discriminator from the third step."""
    if graphed:
        monkeypatch.setattr("musegen.stages.oobleck_vae.obstacle_to_graphs", lambda module: "")
    model = stage(adversarial_from_step=2, adversarial_ramp_steps=2, graphed=graphed)
    loader = DataLoader(items(5), batch_size=2)  # type: ignore[arg-type]
    trainer(folder, max_epochs=2, gradient_clip_val=0.5, **options).fit(model, loader)
    assert (model.graphs is not None) == graphed
    return model


@pytest.mark.parametrize("accumulated", [1, 2])
def test_replayed_steps_train_as_written_ones(tmp_path, monkeypatch, accumulated):
    options = {"accumulate_grad_batches": accumulated}
    written = trained(tmp_path, False, monkeypatch, **options)
    replayed = trained(tmp_path, True, monkeypatch, **options)
    assert replayed.graphs is not None
    assert set(replayed.graphs.recordings) == {"train/kl", "train/discriminator"}
    torch.testing.assert_close(flat(replayed), flat(written), rtol=1e-5, atol=1e-6)
    assert (flat(written) - flat(stage())).abs().mean() > 1e-3
    for name, value in written.trainer.callback_metrics.items():
        torch.testing.assert_close(replayed.trainer.callback_metrics[name], value, rtol=1e-4, atol=1e-5)


def test_gradients_are_scaled_and_added():
    weight, unused = torch.nn.Parameter(torch.tensor([2.0, 3.0])), torch.nn.Parameter(torch.ones(1))
    graphs = GraphedLosses([weight, unused])

    def losses(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([(weight * x).sum(), x.sum()])

    for x in (torch.tensor([1.0, 4.0]), torch.tensor([5.0, 7.0])):
        values = graphs("one", losses, x)
        torch.testing.assert_close(values, losses(x))
        (values[0] / 2).backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, torch.tensor([3.0, 5.5]))
    assert unused.grad is None


def test_it_says_why_it_does_not(tmp_path, caplog):
    model = stage(discriminator=False, graphed=True)
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        trainer(tmp_path, max_steps=1).fit(model, DataLoader(items(2), batch_size=2))  # type: ignore[arg-type]
    assert model.graphs is None
    assert [
        line for line in caplog.messages if line == "graphed: steps run as written, there are no CUDA graphs on cpu"
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a CUDA GPU")
def test_a_graph_trains_as_written(tmp_path):
    def run(graphed: bool) -> torch.Tensor:
        model = stage(adversarial_from_step=2, graphed=graphed)
        loader = DataLoader(items(6), batch_size=2)  # type: ignore[arg-type]
        trainer(tmp_path, max_epochs=2, accelerator="gpu", precision="bf16-mixed").fit(model, loader)
        return flat(model)

    torch.testing.assert_close(run(True), run(False), rtol=0.05, atol=0.02)


def test_it_starts_from_the_average_of_a_checkpoint(tmp_path):
    first = stage(discriminator=False)
    run = trainer(tmp_path, max_steps=2)
    run.fit(first, DataLoader(items(2), batch_size=2))  # type: ignore[arg-type]
    run.save_checkpoint(tmp_path / "a.ckpt")
    second = stage(seed=1, pretrained=str(tmp_path / "a.ckpt"))
    torch.testing.assert_close(flat(second.model), flat(first.model), rtol=0, atol=0)
    narrow = OobleckAutoencoder(channels=4, multiples=[1, 2], strides=[4, 4], latent_channels=4)
    with pytest.raises(ValueError, match=r"expected shape \[4\], got \[6\]"):
        stage(autoencoder=narrow, pretrained=str(tmp_path / "a.ckpt"))
