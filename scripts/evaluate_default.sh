#!/usr/bin/env bash
# Everything that the model card says of the model in the box, measured on songs that it has never heard.
#   scripts/evaluate_default.sh                                             # all of it
#   CAPTIONS=2 UNSEEN=2 BASELINE=2 SONGS=6 TRAIN_SONGS=6 GIVEN_BACK=2 NOTES=2 PICTURES=2 scripts/evaluate_default.sh  # a look
# What is there is left, so that a run that was stopped is simply begun again: clips one by one, everything else step by
# step. OUT/times.csv says how long each step took, and at the end stands how long all sizes as below would take here.
#
#   MODEL=default       folder of a pipeline, or the name of a shipped one        OUT=out/evaluation
#   CAPTIONS=250 SEEDS=2   clips of held-out songs of known grooves: captions, and samples of each
#   UNSEEN=200             captions of songs of grooves and progressions that were never trained on
#   BASELINE=100           captions that the regression baseline is asked too, SEEDS times (needs MODEL/regression)
#   SONGS=1000             held-out songs; half of them are A, the reference, half B: no groove in both. Captions are B's
#   GIVEN_BACK=500         songs of B that the codec gives back
#   TRAIN_SONGS=500        training songs, for nearest neighbours and to fit probes on; or TRAIN, a folder of shards
#   SECONDS_EACH=12        of every clip and song that is heard (12 s are four windows of musicnn)
#   SONG_SECONDS=24  TRAIN_SECONDS=29   of songs that are rendered: what is embedded is all of them
#   NOTES=12               clips whose notes are heard by basic-pitch                PICTURES=6 (songs on the page)
#   DRAWS=2                of an embedding for each caption, at each guidance of stage 1
#   JUDGE=                 embedder of music and text for similarity and retrieval, in place of musegen evaluate's own
#   ONE_STAGE=             model folder of a transformer that reads the caption itself (phase one_stage), to compare with
#   RECORDINGS=            what scripts/fetch_recordings.py fetched, or shards that musegen pack recordings wrote
#                          RECORDED_SECONDS=30, of each of their tracks, from its beginning
# On two cores without a GPU these take about half as long, but give fewer windows than Fréchet distances want:
#   CAPTIONS=200 UNSEEN=100 BASELINE=50 SONGS=600 GIVEN_BACK=200 TRAIN_SONGS=200 DRAWS=1
#   DEVICE=auto  PROCESSES=nproc  JOBS (that sample side by side: 1, on a CPU PROCESSES)  SEED=2000 (of all songs)
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^set/{/^set/!p}' "$0"; exit 0 ;; esac
here=$(cd "$(dirname "$0")/.." && pwd)
out=${OUT:-out/evaluation}
model=${MODEL:-default}
export PATH="$here/.venv/bin:$PATH"
musegen=${MUSEGEN:-musegen}
python=${PYTHON:-python}
processes=${PROCESSES:-$(env -u OMP_NUM_THREADS nproc)}
each=${SECONDS_EACH:-12}
device=${DEVICE:-auto}
seed=${SEED:-2000}
length=${SONG_SECONDS:-24}
captions=${CAPTIONS:-250} seeds=${SEEDS:-2} unseen=${UNSEEN:-200} baseline=${BASELINE:-100}
songs=${SONGS:-1000} given_back=${GIVEN_BACK:-500} train_songs=${TRAIN_SONGS:-500} notes=${NOTES:-12}
pictures=${PICTURES:-6} draws=${DRAWS:-2}
heard=(--cache "$out/heard" --seconds "$each" --device "$device")
train=${TRAIN:-$out/songs/train}

say() { echo "$(date +%T) $*"; }

now() { date +%s.%N; }

processor() { # FILE of `times`: seconds of processor time of all that ended until then
  awk -F'[ms ]+' 'NR == 2 {print 60 * $1 + $2 + 60 * $3 + $4}' "$1"
}

step() { # NAME FILE HERE WHOLE COMMAND…: unless FILE is there; HERE of WHOLE things are done
  local name=$1 file=$2 size=$3 whole=$4 began before
  shift 4
  if [ -e "$file" ]; then say "$name: there"; return; fi
  say "$name"
  began=$(now)
  times > "$out/.before"
  "$@"
  [ -e "$file" ] || { echo "evaluate_default: $name: expected it to write $file, but it did not" >&2; exit 1; }
  times > "$out/.after"
  before=$(processor "$out/.before")
  echo "$name,$(now),$began,$(processor "$out/.after"),$before,$size,$whole" |
    awk -F, '{printf "%s,%.1f,%.1f,%d,%d\n", $1, $2 - $3, $4 - $5, $6, $7}' >> "$out/times.csv"
}

judged() { # NAME FOLDER… FLAGS…: musegen evaluate into OUT/NAME
  local name=$1
  shift
  $musegen evaluate "$@" "${heard[@]}" --out "$out/.$name" >> "$out/log" 2>&1 || { tail -3 "$out/log" >&2; return 1; }
  rm -rf "${out:?}/$name"
  mv "$out/.$name" "$out/$name"
}

rendered() { # NAME SONGS SPLIT SEED SECONDS
  rm -rf "$out/songs/$1"
  $musegen render "$out/songs/$1" --songs "$2" --split "$3" --seed "$4" --seconds "$5" --processes "$processes"
}

sampled() { # NAME SONGS FLAGS…: clips of captions, by JOBS processes side by side
  local name=$1 of=$2 job running=()
  shift 2
  for ((job = 0; job < jobs; job++)); do
    OMP_NUM_THREADS=$threads $python "$here/scripts/sample_songs.py" "$of" "$out/clips/$name" --model "$model" \
      --seconds "$each" --device "$device" --part "$job" --parts "$jobs" "$@" &
    running+=($!)
  done
  for job in "${running[@]}"; do wait "$job"; done
  touch "$out/clips/$name.done"
}

same_captions() { # the flow's clips of those captions that the baseline was asked
  local clip name
  rm -rf "$out/clips/flow"
  mkdir -p "$out/clips/flow"
  for clip in "$out"/clips/regression/*; do
    name=$(basename "$clip")
    ln "$out/clips/known/$name" "$out/clips/flow/$name"
  done
  touch "$out/clips/flow.done"
}

codec() { # NAME AUDIO FLAGS…
  local name=$1 audio=$2
  shift 2
  $musegen evaluate --codec "$model" --audio "$audio" --seconds "$each" --device "$device" --out "$out/.$name" "$@"
  rm -rf "${out:?}/$name"
  mv "$out/.$name" "$out/$name"
}

recorded() { # music that was recorded, as shards; those that training leaves out
  if [ -d "$RECORDINGS/test" ] || [ -d "$RECORDINGS/val" ]; then
    ln -sfn "$(realpath "$RECORDINGS")" "$out/recordings"
  else
    rm -rf "$out/recordings"
    local part
    mkdir -p "$out/recordings"
    for part in test val; do # by the same rule by which training leaves them out, which may leave out nobody
      $musegen pack recordings "$out/recordings" --options.folder "$RECORDINGS" --split "$part" \
        --processes "$processes" || say "no recordings for $part"
    done
  fi
  touch "$out/recordings.done"
}

cached() { # NAME AUDIO TEXT: embeddings, as the model's own embedder makes them
  $musegen cache "$2" "$out/shards/$1" --embedder "$embedder" --text "$3" --device "$device" > "$out/log.cache" 2>&1 ||
    { tail -3 "$out/log.cache" >&2; return 1; }
}

mkdir -p "$out/clips"
$python "$here/scripts/describe_pipeline.py" "$out/pipeline.txt" --model "$model" --device "$device"
{ read -r folder; read -r embedder; read -r on; read -r hears_notes; } < "$out/pipeline.txt"
jobs=${JOBS:-$([ "$on" = cpu ] && echo "$processes" || echo 1)}
threads=$(((processes + jobs - 1) / jobs))
rm -f "$out/log"

step "render known" "$out/songs/known/index.json" "$songs" 1000 rendered known "$songs" val "$seed" "$length"
step "render unseen" "$out/songs/unseen/index.json" "$unseen" 200 rendered unseen "$((unseen + unseen / 10 + 1))" unseen "$seed" "$length"
if [ -z "${TRAIN:-}" ]; then
  step "render train" "$train/index.json" "$train_songs" 500 rendered train "$train_songs" train 0 "${TRAIN_SECONDS:-29}"
fi
step "halve" "$out/songs/halves/b/index.json" "$songs" 1000 $musegen halve "$out/songs/known" "$out/songs/halves"
a=$out/songs/halves/a b=$out/songs/halves/b

step "sample known" "$out/clips/known.done" "$((captions * seeds))" 500 \
  sampled known "$b" --captions "$captions" --seeds "$seeds"
step "sample unseen" "$out/clips/unseen.done" "$unseen" 200 sampled unseen "$out/songs/unseen" --captions "$unseen"  # a few more songs, as some have one caption
if [ -d "$folder/regression" ]; then
  # the same choice of captions: some of those that the flow was asked
  step "sample regression" "$out/clips/regression.done" "$((baseline * seeds))" 200 \
    sampled regression "$b" --captions "$captions" --only "$baseline" --seeds "$seeds" --baseline true
  step "pair regression" "$out/clips/flow.done" 1 1 same_captions
fi
if [ -n "${ONE_STAGE:-}" ]; then
  step "sample one stage" "$out/clips/one_stage.done" "$captions" 250 \
    sampled one_stage "$b" --captions "$captions" --one_stage "$ONE_STAGE"
fi
step "codec" "$out/codec/codec.json" "$given_back" 500 codec codec "$b" --limit "$given_back" --keep "$out/clips/given_back"
if [ -n "${RECORDINGS:-}" ]; then
  step "pack recordings" "$out/recordings.done" 1 1 recorded
  for part in test val; do
    if [ -f "$out/recordings/$part/index.json" ]; then
      step "codec on recordings ($part)" "$out/codec_recordings_$part/codec.json" 1 1 \
        codec "codec_recordings_$part" "$out/recordings/$part" --seconds "${RECORDED_SECONDS:-30}"
    fi
  done
fi

beside=(--reference "$a" --truth "$b")
apart=()
if [ -n "${JUDGE:-}" ]; then apart=(--joint "$JUDGE"); fi
clips=$((captions * seeds))
step "evaluate known" "$out/known/evaluation.json" "$((clips + songs + train_songs))" 2000 \
  judged known "$out/clips/known" "${beside[@]}" --train "$train" "${apart[@]}"
step "evaluate unseen" "$out/unseen/evaluation.json" "$((2 * unseen))" 400 \
  judged unseen "$out/clips/unseen" --reference "$out/songs/unseen" "${apart[@]}"
step "evaluate distances" "$out/distances/evaluation.json" "$given_back" 500 \
  judged distances "$out/clips/known" "$out/clips/given_back" "${beside[@]}" --metrics frechet
if [ -d "$folder/regression" ]; then
  step "evaluate regression" "$out/regression/evaluation.json" "$((baseline * seeds))" 200 \
    judged regression "$out/clips/flow" "$out/clips/regression" "${beside[@]}" --train "$train" "${apart[@]}"
fi
if [ -n "${ONE_STAGE:-}" ]; then
  step "evaluate one stage" "$out/one_stage/evaluation.json" "$captions" 250 \
    judged one_stage "$out/clips/known" "$out/clips/one_stage" "${beside[@]}" "${apart[@]}"
fi
if [ "$hears_notes" = yes ]; then
  step "evaluate notes" "$out/notes/evaluation.json" "$((2 * notes))" 24 \
    judged notes "$out/clips/known" --truth "$b" --metrics notes --limit "$notes"
fi

step "embed train" "$out/shards/train/index.json" "$train_songs" 500 cached train "$train" null
step "embed known" "$out/shards/known/index.json" "$((songs / 2))" 500 cached known "$b" minilm
step "embed unseen" "$out/shards/unseen/index.json" "$unseen" 200 cached unseen "$out/songs/unseen" minilm
for part in known unseen; do
  step "probe $part" "$out/probe_$part.json" 1 1 \
    $musegen probe "$out/shards/train" "$out/shards/$part" --device "$device" --out "$out/probe_$part.json"
done
step "guidance" "$out/guidance/guidance.json" "$(((songs < 400 ? songs / 2 : 200) * draws))" 400 \
  $python "$here/scripts/guidance_of_stage1.py" "$out/shards/known" "$out/guidance" --model "$model" --limit 200 \
  --draws "$draws" --device "$device"
step "pictures" "$out/pictures/index.html" "$pictures" 6 \
  $python "$here/scripts/picture_page.py" "$b" "$out/clips/given_back" "$out/clips/known" "$out/pictures" \
  --count "$pictures" --seconds "$each"

# What does not grow with the sizes is starting up: START seconds of processor time of every process, two and three times
# that where Fréchet distances are drawn again and again. On a CPU other work makes the clock say more than it would by
# itself: there processor time tells, shared by all cores; on a GPU the clock does.
awk -F, -v processes="$processes" -v jobs="$jobs" -v start="${START:-6}" -v on="$on" '
  {clock += $2; work += $3; first = start * ($1 ~ /^sample/ ? jobs : $1 ~ /^evaluate dist/ ? 3 : $1 ~ /^evaluate/ ? 2 : 1)
   if (on == "cpu") {rest = ($3 - first) / processes; first /= processes} else {rest = $2 - first}
   if (rest < 0) rest = 0
   whole += first + rest * ($4 ? $5 / $4 : 1)}
  END {printf "took %.1f min by the clock, %.1f min of processor time; ", clock / 60, work / 60
       printf "with all sizes as at the top of this script it would take %.0f min ", whole / 60
       printf "on %d idle cores%s\n", processes, on == "cpu" ? "" : " and this GPU"}
' "$out/times.csv"
