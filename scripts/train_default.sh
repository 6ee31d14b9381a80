#!/usr/bin/env bash
# The model in the box, from nothing to music, in phases of under ten minutes each on one H100 with 16 cores.
#   scripts/train_default.sh PHASE…
# What a phase finds done it leaves, so that a phase that was stopped is simply begun again; what trains goes on from
# its last run's averaged weights each time it is called, as a further link of a chain (the optimizer's moments start
# anew, under the warm-up). Every run's curves become OUT/curves/NAME_N.csv.
#
#   render            songs with true captions: SONGS of seed SEED for training; 200 held-out and 200 of unseen styles
#   recordings        recorded music whose licence allows it, for the codec: RECORDINGS, or what Debian has
#   vae               codec by spectra; again: a further link
#   vae_adversarial   codec against a discriminator, from the last link
#   joint             joint embedder of music and captions
#   export            codec and embedder as model folders
#   cache             all songs as embeddings, latents and text states
#   ablation          the choices of stage 1, in a table
#   text2muq, regression, stable_audio_muq
#   one_stage         text straight into stage 2's transformer, to compare with; optional
#   distilled         stage 2 in few steps, from the last link of stable_audio_muq; optional
#   assemble          all parts as one folder, OUT/model; beside it OUT/one_stage, and where stage 2 was distilled
#                     OUT/model_fast, of STEPS_FAST=4 steps
#   smoke             a clip
#
# Songs of several seeds lie in folders of their own, and a phase takes those that are whole: more can be rendered while
# something trains. Phases that do not wait for each other may run side by side.
#
#   OUT=out/default  SONGS=1000  SEED=0  SECONDS_EACH=29  HELD_OUT=200  PROCESSES=16  DEVICE=auto
#   WORKERS (that read, of each training)   CACHERS=1 (folders that are cached at a time)
#   REPEAT=16 (how often an epoch has each song, with other crops and words; of the joint embedder 4)
#   (of 29 s hardly a song ends before the 23.8 s of 512 latents: batches without padding need no mask, and are quicker)
#   DECODED=OUT/decoded (where vae, vae_adversarial and joint keep the songs that they read, decoded: 5 MB for 29 s, and
#   crops come many times as fast; it may be removed when they are done; DECODED=no: decode each crop)
#   STEPS_VAE, STEPS_JOINT, …: of a run and its learning rate; or MINUTES (8.5): as many as there is time for
#   FLAGS, FLAGS_VAE, FLAGS_JOINT, …: more flags of `musegen fit`          CONTINUE=1: go on with a run that was stopped
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/!p}' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "$0")/.." && pwd)
out=${OUT:-out/default}
export PATH="$here/.venv/bin:$PATH"
musegen=${MUSEGEN:-musegen}
python=${PYTHON:-python}
processes=${PROCESSES:-$(env -u OMP_NUM_THREADS nproc)}
each=${SECONDS_EACH:-29}
device=${DEVICE:-auto}

say() { echo "$(date +%T) $*"; }

of() { # PREFIX NAME: the variable PREFIX_NAME
  local name="$1_${2^^}"
  echo "${!name:-}"
}

last_run() { # NAME: the number of its last run, -1 for none
  local number=-1
  while [ -d "$out/runs/default_$1/version_$((number + 1))" ]; do number=$((number + 1)); done
  echo "$number"
}

saved_run() { # NAME: the number of its last run that has a checkpoint, -1 for none: one may have been killed before its first
  local number
  number=$(last_run "$1")
  while [ "$number" -ge 0 ] && [ ! -f "$out/runs/default_$1/version_$number/checkpoints/last.ckpt" ]; do
    number=$((number - 1))
  done
  echo "$number"
}

checkpoint() { # NAME: of its last run that has one; nothing where there is none
  local number
  number=$(saved_run "$1")
  if [ "$number" -ge 0 ]; then echo "$out/runs/default_$1/version_$number/checkpoints/last.ckpt"; fi
}

folders() { # KIND SPLIT: those that are whole, as a list in YAML
  local list="" folder
  for folder in "$out/$1/$2" "$out/$1/$2"-*; do
    if [ -f "$folder/index.json" ]; then list+=",$folder"; fi
  done
  [ -n "$list" ] || { echo "train_default: expected shards in $out/$1/$2*, got none" >&2; return 1; }
  echo "[${list#,}]"
}

fit() { # NAME SHARDS FROM: train a link of NAME's chain on audio or shards; its first one begins from FROM's last
  local name=$1 kind=$2 before number steps
  local config=$here/configs/experiment/default_$name.yaml
  before=$(checkpoint "$name")
  number=$(($(last_run "$name") + 1))
  local train
  train=$(folders "$kind" train)
  if [[ $name == vae* ]] && [ -d "$out/recordings/shards/train" ]; then train="${train%]},$out/recordings/shards/train]"; fi
  # workers begin anew with each epoch: it has every song several times, though of the joint embedder's, which tells the
  # songs of a batch apart, not too often
  local repeat=${REPEAT:-16}
  if [ "$name" = joint ]; then repeat=${REPEAT:-4}; fi
  local flags=(--data.init_args.train "$train" --data.init_args.val "[$out/$kind/val]")
  flags+=(--data.init_args.weights "$(sed "s/[^],[]\+/$repeat/g" <<< "$train")")
  local decoded=${DECODED:-$out/decoded}
  if [ "$kind" = audio ] && [ "$decoded" != no ]; then flags+=(--data.init_args.decoded "$decoded"); fi
  if [ -n "${CONTINUE:-}" ] && [ -n "$before" ]; then
    number=$(saved_run "$name")
    flags+=(--ckpt_path "$before" --data.init_args.seed "$number")
  else
    before=${before:-$([ -z "${3:-}" ] || checkpoint "$3")}
    if [ -n "$before" ]; then flags+=(--model.init_args.pretrained "$before"); fi
    if [ -n "$before" ] && [ "$name" = vae ]; then flags+=(--model.init_args.energy_first_steps 0); fi
    flags+=(--data.init_args.seed "$number")
  fi
  steps=$(of STEPS "$name")
  if [ -n "$steps" ]; then flags+=(--trainer.max_steps "$steps" --model.init_args.scheduler.init_args.steps "$steps"); fi
  if [ -n "${WORKERS:-}" ]; then flags+=(--data.init_args.num_workers "$WORKERS"); fi
  if [ -n "${MINUTES:-}" ]; then
    flags+=(--trainer.callbacks+=musegen.callbacks.fit_minutes.FitMinutes "--trainer.callbacks.minutes=$MINUTES")
  fi
  # shellcheck disable=SC2086,SC2046 # flags are words
  $musegen fit -c "$config" "${flags[@]}" --trainer.logger.init_args.save_dir "$out/runs" \
    --trainer.logger.init_args.version "$number" ${FLAGS:-} $(of FLAGS "$name")
  $python "$here/scripts/curves.py" "$out/runs/default_$name/version_$number" "$out/curves/${name}_$number.csv"
}

export_as() { # NAME TARGET DTYPE: the averaged weights of its last run, in half precision or DTYPE; nothing without a run
  local file
  file=$(checkpoint "$1")
  [ -n "$file" ] || return 0
  if [ ! "$out/model/$2" -nt "$file" ]; then
    rm -rf "$out/model/$2"
    $musegen convert "$file" "$out/model/$2" --to musegen --dtype "${3:-float16}"
  fi
}

describe() { # FOLDER SAMPLER STEPS GUIDANCE: write how its stages are sampled
  cat > "$1/pipeline.json" <<JSON
{
  "format": "musegen-pipeline",
  "version": 1,
  "text2muq": {"sampler": "midpoint", "steps": 25, "guidance": ${GUIDANCE_1:-3.0}},
  "stable_audio_muq": {"sampler": "$2", "steps": $3, "guidance": $4},
  "variable_length": true,
  "embedder": $(embedder joint)
}
JSON
}

export_codec() {
  if [ -n "$(checkpoint vae_adversarial)" ]; then export_as vae_adversarial vae; else export_as vae vae; fi
  export_as joint joint
}

render_songs() { # FOLDER SONGS FLAGS…
  local folder=$1 songs=$2
  shift 2
  if [ -f "$out/audio/$folder/index.json" ]; then return; fi
  rm -rf "${out:?}/audio/$folder"
  $musegen render "$out/audio/$folder" --songs "$songs" --seconds "$each" --processes "$processes" "$@"
}

embedder() { echo "{\"class_path\": \"musegen.conditioning.joint.Joint\", \"init_args\": {\"model\": \"$1\"}}"; }

phase() {
  case $1 in
  render)
    render_songs val "${HELD_OUT:-200}" --split val --seed 1000
    render_songs unseen "${HELD_OUT:-200}" --split unseen --seed 1000
    render_songs "train-${SEED:-0}" "${SONGS:-1000}" --seed "${SEED:-0}"
    ;;
  recordings) # only the codec learns from them: they have few words
    if [ ! -d "$out/recordings/shards" ]; then
      local packages=${RECORDINGS:-$out/recordings/packages}
      if [ -f "$packages" ]; then
        mkdir -p "$out/recordings/packages"
        tar -xf "$packages" -C "$out/recordings/packages"
        packages=$out/recordings/packages
      elif [ ! -d "$packages" ]; then
        $python "$here/scripts/fetch_recordings.py" --out "$packages"
      fi
      $musegen pack recordings "$out/recordings/shards" --options.folder "$packages" --processes "$processes"
    fi
    ;;
  vae) fit vae audio ;;
  vae_adversarial) fit vae_adversarial audio vae ;;
  joint) fit joint audio ;;
  export) export_codec ;;
  cache)
    export_codec
    local index folder running=()
    for index in "$out"/audio/*/index.json; do
      folder=$(basename "$(dirname "$index")")
      $musegen cache "$out/audio/$folder" "$out/shards/$folder" --embedder "$(embedder "$out/model/joint")" \
        --codec "$out/model/vae" --text minilm --device "$device" &
      running+=($!)
      if [ ${#running[@]} -ge "${CACHERS:-1}" ]; then
        wait "${running[0]}"
        running=("${running[@]:1}")
      fi
    done
    for index in "${running[@]}"; do wait "$index"; done
    ;;
  ablation)
    # shellcheck disable=SC2046 # several folders
    $python "$here/scripts/ablate_stage1.py" --train $(ls -d "$out"/shards/train*) --val "$out/shards/val" \
      --out "$out/ablation" --device "$device" ${FLAGS_ABLATION:-}
    ;;
  text2muq | regression | stable_audio_muq | one_stage) fit "$1" shards ;;
  distilled)
    local teacher
    teacher=$(checkpoint stable_audio_muq)
    [ -n "$teacher" ] || { echo "train_default: expected a run of stable_audio_muq to distil, got none" >&2; return 1; }
    local scale="--model.init_args.teacher_guidance.init_args.scale ${GUIDANCE_2:-3.0}"
    FLAGS="${FLAGS:-} --model.init_args.teacher $teacher $scale" fit stable_audio_muq_distilled shards
    ;;
  assemble)
    export_codec
    local part
    for part in text2muq regression; do export_as "$part" "$part"; done
    export_as stable_audio_muq stable_audio_muq int8
    export_as one_stage ../one_stage int8
    describe "$out/model" dpmpp_2m "${STEPS_2:-50}" "${GUIDANCE_2:-3.0}"
    if [ -n "$(checkpoint stable_audio_muq_distilled)" ]; then # the same with another stage 2
      rm -rf "$out/model_fast"
      cp -R "$out/model" "$out/model_fast"
      rm -rf "$out/model_fast/stable_audio_muq"
      export_as stable_audio_muq_distilled ../model_fast/stable_audio_muq int8
      describe "$out/model_fast" jump "${STEPS_FAST:-4}" 1.0
    fi
    du -ak "$out/model" | sort -n | tail -8
    ;;
  smoke)
    # shellcheck disable=SC2086 # flags are words
    $musegen generate "a slow waltz for strings in D minor" --model "$out/model" --out "$out/clips" --device "$device" \
      ${FLAGS_SMOKE:-}
    ;;
  *)
    echo "train_default: expected phases among those at the top of $0, got $1" >&2
    exit 2
    ;;
  esac
}

if [ $# -eq 0 ]; then
  sed -n '2,/^set/{/^set/!p}' "$0"
  exit 2
fi
for name in "$@"; do
  say "$name"
  phase "$name"
done
say done
