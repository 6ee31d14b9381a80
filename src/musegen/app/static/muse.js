// What the browser does by itself: playing, seeking, drawing the map. Everything else is asked of the server.
(() => {
  "use strict";
  const clipOf = (element) => element.closest(".clip");
  const soundOf = (clip) => clip && clip.querySelector("audio");

  const paint = (clip, sound) => {
    const share = sound.duration ? sound.currentTime / sound.duration : 0;
    clip.style.setProperty("--played", `${(100 * share).toFixed(2)}%`);
  };

  // One sound at a time; a frame loop moves the line while one plays.
  let playing = null;
  const loop = () => {
    if (!playing) return;
    const clip = clipOf(playing);
    if (!playing.isConnected || !clip) {
      playing.pause(); // its card is gone, and its button with it
      playing = null;
      return;
    }
    clip.classList.add("on"); // a card that was drawn anew has lost it
    paint(clip, playing);
    spectrum();
    requestAnimationFrame(loop);
  };

  // A live spectrum above the mel-spectrogram of what is heard.
  let context = null;
  const analysers = new WeakMap();
  const listen = (sound) => {
    try {
      context = context || new AudioContext();
      context.resume();
      if (!analysers.has(sound)) {
        const analyser = context.createAnalyser();
        analyser.fftSize = 1024;
        analyser.smoothingTimeConstant = 0.78;
        context.createMediaElementSource(sound).connect(analyser).connect(context.destination);
        analysers.set(sound, analyser);
      }
    } catch (error) {
      console.warn("no live spectrum:", error);
    }
  };
  const spectrum = () => {
    const analyser = analysers.get(playing);
    const clip = clipOf(playing);
    const box = clip && clip.querySelector(".mel");
    if (!analyser || !box) return;
    let canvas = box.querySelector("canvas");
    if (!canvas) {
      canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      box.append(canvas);
    }
    const width = (canvas.width = box.clientWidth);
    const height = (canvas.height = box.clientHeight);
    const bins = new Uint8Array(analyser.frequencyBinCount);
    analyser.getByteFrequencyData(bins);
    const brush = canvas.getContext("2d");
    brush.fillStyle = "rgba(255, 246, 214, 0.5)";
    const bars = 48;
    for (let bar = 0; bar < bars; bar += 1) {
      const from = Math.floor(Math.pow(bins.length, bar / bars));
      const to = Math.max(from + 1, Math.floor(Math.pow(bins.length, (bar + 1) / bars)));
      let high = 0;
      for (let bin = from; bin < to; bin += 1) high = Math.max(high, bins[bin]);
      const tall = (high / 255) * height;
      brush.fillRect((bar * width) / bars + 1, height - tall, width / bars - 2, tall);
    }
  };

  for (const name of ["play", "pause", "ended", "timeupdate", "error"]) {
    document.addEventListener(
      name,
      (event) => {
        const sound = event.target;
        const clip = sound instanceof HTMLAudioElement && clipOf(sound);
        if (!clip) return;
        const button = clip.querySelector(".play");
        if (name === "play") {
          if (playing && playing !== sound) playing.pause();
          playing = sound;
          clip.classList.add("on");
          button.setAttribute("aria-label", "Pause");
          requestAnimationFrame(loop);
        } else if (name === "timeupdate") {
          paint(clip, sound);
        } else {
          if (playing === sound) playing = null;
          clip.classList.remove("on");
          clip.classList.toggle("broken", name === "error");
          button.setAttribute("aria-label", "Play");
          const canvas = clip.querySelector("canvas");
          if (canvas) canvas.remove();
        }
      },
      true,
    );
  }

  const start = (sound) => {
    listen(sound);
    sound.play().catch((error) => {
      if (error.name === "NotSupportedError") clipOf(sound).classList.add("broken");
    });
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-play]");
    const bar = event.target.closest("[data-seek]");
    const clip = clipOf(event.target);
    const sound = soundOf(clip);
    if (!sound || !(button || bar)) return;
    if (bar && sound.duration) {
      const box = bar.getBoundingClientRect();
      sound.currentTime = ((event.clientX - box.left) / box.width) * sound.duration;
      paint(clip, sound);
    }
    if (bar || sound.paused) {
      start(sound);
    } else {
      sound.pause();
    }
  });

  // Cards and forms tell Gradio's components what was asked for.
  const picked = () => [...document.querySelectorAll("[data-pick]:checked")].map((box) => box.dataset.pick);
  window.musePicked = picked;
  const LONG = new Set(["like", "again", "hear"]);
  // On a telephone the Lab's clips stand above its forms: whoever asked for them there is led to them.
  const lead = (element) => {
    const box = element.getBoundingClientRect();
    if (box.height && box.bottom < 0) element.scrollIntoView({ block: "start" });
  };
  // Cards are drawn anew after every change, one into the place of another: what was opened or selected goes by clip.
  const keepState = (element) => {
    const open = new Set();
    const chosen = new Set();
    const note = (set, id, wanted) => (wanted ? set.add(id) : set.delete(id));
    element.addEventListener("click", (event) => {
      const summary = event.target.closest(".clip summary");
      if (summary) note(open, clipOf(summary).dataset.clip, !summary.parentElement.open); // it opens after the click
    });
    element.addEventListener("change", (event) => {
      const box = event.target.closest("[data-pick]");
      if (box) note(chosen, box.dataset.pick, box.checked);
    });
    const restore = () => {
      for (const more of element.querySelectorAll(".clip details")) {
        const wanted = open.has(clipOf(more).dataset.clip);
        if (more.open !== wanted) more.open = wanted;
      }
      for (const box of element.querySelectorAll("[data-pick]")) box.checked = chosen.has(box.dataset.pick);
    };
    new MutationObserver(restore).observe(element, { childList: true, subtree: true, attributeFilter: ["data-clip"] });
  };
  window.museCards = (element, trigger) => {
    keepState(element);
    if (element.closest("#lab-cards")) {
      new MutationObserver(() => lead(element)).observe(element, { childList: true, subtree: true });
    }
    const tell = (source, value) => {
      const told = { do: source.dataset.do, id: source.dataset.id || "", value: value || "", picked: picked() };
      trigger(LONG.has(told.do) ? "submit" : "click", told);
    };
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]:not(form)");
      if (!button || !element.contains(button)) return;
      tell(button, button.dataset.value);
      if (button.dataset.do === "touch") hearSoon(button.dataset.id);
    });
    element.addEventListener("submit", (event) => {
      const form = event.target.closest("form[data-do]");
      if (!form) return;
      event.preventDefault();
      tell(form, new FormData(form).get("value"));
    });
  };

  // A point of the map is heard as soon as its card is there.
  const soundOfPoint = (name) => {
    const [kind, id] = name.split(":");
    const cards = document.querySelectorAll("#lab-cards .clip");
    const source = kind === "clip" ? `muse/clips/${id}.flac` : `muse/corpus/${id}.flac`;
    return cards.length === 1 ? cards[0].querySelector(`audio[src="${source}"]`) : null;
  };
  let waiting = 0;
  const hearSoon = (name) => {
    clearInterval(waiting);
    const until = performance.now() + 10000;
    waiting = setInterval(() => {
      const sound = soundOfPoint(name);
      if (sound) start(sound);
      if (sound || performance.now() > until) clearInterval(waiting);
    }, 80);
  };

  // The Lab's map: Plotly from this server, fetched when it is first drawn.
  let plotly = null;
  const fetchPlotly = () => {
    plotly =
      plotly ||
      new Promise((done, failed) => {
        const script = document.createElement("script");
        script.src = "muse/plotly.js";
        script.onload = () => done(window.Plotly);
        script.onerror = () => {
          plotly = null; // the next map asks again
          failed(new Error("its library did not come from the server"));
        };
        document.head.append(script);
      });
    return plotly;
  };
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  // By keyboard: arrows go to the next point in their direction, which is said below the map.
  const WAYS = { ArrowLeft: ["x", -1], ArrowRight: ["x", 1], ArrowDown: ["y", -1], ArrowUp: ["y", 1] };
  const step = (event, element, stage, library, hear) => {
    const all = stage.data.flatMap((trace, curveNumber) =>
      trace.customdata.map((name, pointNumber) => ({ trace, name: String(name), curveNumber, pointNumber })),
    );
    const here = all.find((point) => point.name === stage.dataset.here);
    if (event.key === "Enter" && here) hear(here.name);
    if (!WAYS[event.key]) return;
    event.preventDefault();
    const [axis, sign] = WAYS[event.key];
    const place = (point) => point.trace[axis][point.pointNumber];
    all.sort((one, two) => place(one) - place(two));
    const next = all[Math.min(all.length - 1, Math.max(0, all.indexOf(here) + (here ? sign : 1)))];
    stage.dataset.here = next.name;
    if (next.trace.type === "scatter") library.Fx.hover(stage, [next]);
    const text = document.createElement("template");
    text.innerHTML = next.trace.text[next.pointNumber].replaceAll("<br>", " · ");
    sayBelow(element, text.content.textContent);
  };
  const sayBelow = (element, words) => {
    let said = element.querySelector(".pointed");
    if (!said) {
      said = document.createElement("p");
      said.className = "pointed hint";
      said.setAttribute("aria-live", "polite");
      element.querySelector(".map").after(said);
    }
    said.textContent = words;
  };

  const draw = async (element, text, trigger) => {
    const stage = element.querySelector(".map");
    if (!stage) return;
    if (!text) {
      if (stage.dataset.drawn) (await fetchPlotly()).purge(stage); // the last point is gone
      delete stage.dataset.drawn;
      return;
    }
    const figure = JSON.parse(text);
    const library = await fetchPlotly();
    const layout = figure.layout;
    layout.font = { family: "system-ui, sans-serif", color: colour("--muse-ink"), size: 13 };
    const flat = stage.clientWidth < 560;
    const legend = { itemsizing: "constant", tracegroupgap: 0, font: { size: flat ? 11 : 12 } };
    layout.legend = flat
      ? { ...legend, orientation: "h", y: -0.02, yanchor: "top", x: 0 }
      : { ...legend, orientation: "v", y: 1, x: 1.01 };
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: colour("--muse-card"), bordercolor: colour("--muse-line") };
    layout.hoverlabel.font = { ...layout.font };
    for (const axis of Object.values(layout.scene || {})) axis.gridcolor = colour("--muse-line");
    await library.react(stage, figure.data, layout, { displaylogo: false, responsive: true, displayModeBar: false });
    const hear = (name) => {
      trigger("select", { name });
      hearSoon(name);
    };
    stage.removeAllListeners("plotly_click");
    stage.on("plotly_click", (event) => {
      const point = event.points[0];
      if (point && point.customdata) hear(String([].concat(point.customdata)[0]));
    });
    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.setAttribute("aria-label", "Map of the embedding space: arrow keys go from point to point, Enter plays one");
    stage.onkeydown = (event) => step(event, element, stage, library, hear);
    stage.dataset.drawn = String(figure.data.reduce((sum, trace) => sum + (trace.x || []).length, 0));
  };
  window.museMap = (element, props, trigger, watch) => {
    const failed = (error) => {
      console.error(error);
      sayBelow(element, `The map could not be drawn: ${error.message}.`);
    };
    const again = () => draw(element, props.value, trigger).catch(failed);
    watch("value", again);
    again();
    new MutationObserver(again).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  };
})();
