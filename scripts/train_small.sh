#!/usr/bin/env bash
# The whole chain at a small size, from nothing to music: render songs with true captions, train the codec, encode, train
# both stages, put them together, generate.
#   scripts/train_small.sh [FOLDER]      an hour to an hour and a half on two CPU cores
#   SONGS=500 HELD_OUT=200 SECONDS_EACH=24 PROCESSES=2
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/!p}' "$0"; exit 0 ;; esac
out=${1:-out/small}
here=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$here/.venv/bin:$PATH"
musegen=${MUSEGEN:-musegen}
processes=${PROCESSES:-2}
each=${SECONDS_EACH:-24}

songs_of() { # FOLDER FLAGS…: render; what was cut off has another name until it is all there
  local folder=$out/audio/$1 part=$out/audio/.$1
  shift
  [ -d "$folder" ] && return
  rm -rf "$part"
  $musegen render "$part" --seconds "$each" --processes "$processes" "$@"
  mv "$part" "$folder"
}

data=(--data.init_args.train "[$out/audio/train]" --data.init_args.val "[$out/audio/val]")
shards=(--data.init_args.train "[$out/shards/train]" --data.init_args.val "[$out/shards/val]")
fit() { # NAME FLAGS…: train, then export the averaged weights
  local name=$1 config=$here/configs/experiment/small_$1.yaml target=$out/model/$1
  shift
  [ -d "$target" ] && return
  rm -rf "$out/runs/small_$name/version_0"  # of a run that was cut off: its checkpoints would lie beside the new ones
  $musegen fit -c "$config" --trainer.logger.init_args.save_dir "$out/runs" --trainer.logger.init_args.version 0 "$@"
  $musegen convert "$out/runs/small_$name/version_0/checkpoints/last.ckpt" "$target" --to musegen --dtype float16
}

songs_of val --songs "${HELD_OUT:-200}" --split val
songs_of train --songs "${SONGS:-500}"
fit vae "${data[@]}" ${VAE_FLAGS:-}
for split in val train; do
  $musegen cache "$out/audio/$split" "$out/shards/$split" --embedder spectral --codec "$out/model/vae" --threads "$processes"
done
fit text2muq "${shards[@]}" ${TEXT2MUQ_FLAGS:-}
fit stable_audio_muq "${shards[@]}" ${STABLE_AUDIO_MUQ_FLAGS:-}
cat > "$out/model/pipeline.json" <<'JSON'
{
  "format": "musegen-pipeline",
  "version": 1,
  "text2muq": {"sampler": "midpoint", "steps": 25, "guidance": 3.0},
  "stable_audio_muq": {"sampler": "dpmpp_2m", "steps": 50, "guidance": 3.0},
  "embedder": {"class_path": "musegen.conditioning.spectral.SpectralEmbedder"}
}
JSON
$musegen generate "a slow piano ballad in D minor" --model "$out/model" --samples 2 --out "$out/clips"
