// The motion player: stick figures from joint positions, several side by side, turned by dragging.

/** Wires the player in the page; `motions` is the page's data, see motions.py. */
function playMotions(motions) {
  const box = document.getElementById("motions");
  const part = (name) => box.querySelector(`[data-part="${name}"]`);
  const stages = part("stages");
  const controls = { view: part("view"), clip: part("clip"), generation: part("motion-generation"), time: part("time"), speed: part("speed") };
  const camera = { yaw: 0.6, pitch: 0.22, zoom: 1 };
  const quiet = matchMedia("(prefers-reduced-motion: reduce)");
  const now = { frame: 0, playing: false, wanted: !quiet.matches, seen: false, last: 0, columns: [], frames: 1 };

  /** Millimetres as Int16Array, unpacked when first needed. */
  function unpack(track) {
    if (!track.mm) {
      const bytes = Uint8Array.from(atob(track.data), (letter) => letter.charCodeAt(0));
      const view = new DataView(bytes.buffer);
      track.mm = Int16Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true));
    }
    return track;
  }

  /** Joints of a track at a fractional frame, metres; it rests at its last frame. */
  function poseAt(track, frame) {
    const at = Math.min(frame, track.frames - 1);
    const low = Math.floor(at);
    const high = Math.min(low + 1, track.frames - 1);
    const share = at - low;
    const pose = new Float64Array(66);
    for (let i = 0; i < 66; i++) pose[i] = ((1 - share) * track.mm[low * 66 + i] + share * track.mm[high * 66 + i]) / 1000;
    return pose;
  }

  // What is shown ------------------------------------------------------------------------------

  const view = () => motions.views[controls.view.value];
  const generationAt = () => view().generations[controls.generation.value];

  function option(text, value) {
    const node = element("option", "", text);
    node.value = value;
    return node;
  }

  function fillClips() {
    const captions = Array.isArray(view().clips[0]) ? view().clips[controls.generation.value] : view().clips;
    const chosen = controls.clip.value || 0;
    controls.clip.replaceChildren(...captions.map((caption, i) => option(caption, i)));
    controls.clip.value = Math.min(chosen, captions.length - 1);
  }

  function stage(label, css, tracks) {
    const figure = element("figure", `stage ${css}`);
    const canvas = element("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${label}: ${controls.clip.selectedOptions[0]?.textContent ?? ""}`);
    figure.append(element("figcaption", "", label), canvas);
    if (!tracks.length) figure.append(element("p", "small", "not kept for this caption and generation"));
    return { figure, canvas, css, tracks };
  }

  function rebuild() {
    const shown = view();
    const cell = (column) => shown.tracks[column][controls.generation.value]?.[controls.clip.value];
    const trackOf = (column) => ((n) => (n === null || n === undefined ? [] : [unpack(motions.tracks[n])]))(cell(column));
    now.columns = shown.columns.map((column, i) => stage(column.label, column.css, trackOf(i)));
    if (shown.overlay) {
      const last = shown.columns.length - 1;
      now.columns.push(stage("one over the other", shown.columns[last].css, shown.columns.flatMap((_, i) => trackOf(i))));
    }
    stages.replaceChildren(...now.columns.map((column) => column.figure));
    now.frames = Math.max(1, ...now.columns.flatMap((column) => column.tracks.map((track) => track.frames)));
    controls.time.max = now.frames - 1;
    now.frame = Math.min(now.frame, now.frames - 1);
    part("generation-label").textContent = `generation ${generationAt()}`;
    controls.generation.setAttribute("aria-valuetext", `generation ${generationAt()}`);
    readColours();
    draw();
  }

  function chooseView() {
    controls.generation.max = view().generations.length - 1;
    controls.generation.value = controls.generation.max;
    controls.generation.disabled = view().generations.length < 2;
    fillClips();
    rebuild();
  }

  // Drawing ------------------------------------------------------------------------------------

  function readColours() {
    const read = (node, name) => getComputedStyle(node).getPropertyValue(name).trim();
    for (const column of now.columns) {
      column.colour = read(column.figure, "--c");
      column.rule = read(column.figure, "--rule");
      column.soft = read(column.figure, "--faint");
    }
  }

  /** Canvas coordinates and depth of a point; the camera follows `centre` and a body that climbs. */
  function projector(canvas, centre) {
    const [cy, sy, cp, sp] = [Math.cos(camera.yaw), Math.sin(camera.yaw), Math.cos(camera.pitch), Math.sin(camera.pitch)];
    const scale = (canvas.height / 2.35) * camera.zoom;
    return (x, y, z) => {
      const [dx, dy, dz] = [x - centre[0], y - centre[1], z - centre[2]];
      const right = cy * dx - sy * dz;
      const away = sy * dx + cy * dz;
      const near = 6 / (6 - (cp * away + sp * dy));
      return [canvas.width / 2 + scale * right * near, canvas.height / 2 - scale * (cp * dy - sp * away) * near, cp * away + sp * dy];
    };
  }

  function floor(context, project, centre, colour) {
    context.strokeStyle = colour;
    context.lineWidth = devicePixelRatio || 1;
    context.beginPath();
    const [x0, z0] = [Math.round(centre[0]), Math.round(centre[2])];
    for (let i = -3; i <= 3; i++) {
      for (const [a, b] of [[[x0 + i, z0 - 3], [x0 + i, z0 + 3]], [[x0 - 3, z0 + i], [x0 + 3, z0 + i]]]) {
        context.moveTo(...project(a[0], 0, a[1]).slice(0, 2));
        context.lineTo(...project(b[0], 0, b[1]).slice(0, 2));
      }
    }
    context.stroke();
  }

  function trail(context, project, track, colour) {
    context.strokeStyle = colour;
    context.globalAlpha = 0.5;
    context.beginPath();
    for (let f = 0; f <= Math.min(now.frame, track.frames - 1); f++) {
      const [x, y] = project(track.mm[f * 66] / 1000, 0, track.mm[f * 66 + 2] / 1000);
      if (f) context.lineTo(x, y);
      else context.moveTo(x, y);
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  const right = new Set([2, 5, 8, 11, 14, 17, 19, 21]);

  function figure(context, project, pose, colour, width, alpha) {
    const joints = Array.from({ length: 22 }, (_, j) => project(pose[3 * j], pose[3 * j + 1], pose[3 * j + 2]));
    const bones = motions.bones.map(([a, b]) => ({ a: joints[a], b: joints[b], far: right.has(b), depth: joints[a][2] + joints[b][2] }));
    bones.sort((p, q) => p.depth - q.depth);
    context.strokeStyle = context.fillStyle = colour;
    context.lineCap = "round";
    context.lineWidth = width;
    for (const { a, b, far } of bones) {
      context.globalAlpha = alpha * (far ? 0.55 : 1);
      context.beginPath();
      context.moveTo(a[0], a[1]);
      context.lineTo(b[0], b[1]);
      context.stroke();
    }
    context.globalAlpha = alpha;
    context.beginPath();
    context.arc(joints[15][0], joints[15][1], 2.1 * width, 0, 2 * Math.PI);
    context.fill();
    context.globalAlpha = 1;
  }

  function draw() {
    for (const { canvas, tracks, colour, rule, soft } of now.columns) {
      const ratio = devicePixelRatio || 1;
      const width = Math.round(canvas.clientWidth * ratio);
      if (!width) continue;
      if (canvas.width !== width) [canvas.width, canvas.height] = [width, width];
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, canvas.width, canvas.height);
      if (!tracks.length) continue;
      const poses = tracks.map((track) => poseAt(track, now.frame));
      const main = poses[poses.length - 1];
      const centre = [main[0], Math.max(0.95, main[1] - 0.25), main[2]];
      const project = projector(canvas, centre);
      floor(context, project, centre, rule);
      trail(context, project, tracks[tracks.length - 1], colour);
      poses.forEach((pose, i) => {
        const top = i === poses.length - 1;
        figure(context, project, pose, top ? colour : soft, canvas.width / 70, top ? 1 : 0.75);
      });
    }
    controls.time.value = Math.round(now.frame);
    const seconds = `${(now.frame / motions.fps).toFixed(1)} s`;
    part("seconds").textContent = seconds;
    controls.time.setAttribute("aria-valuetext", seconds);
  }

  // Time ---------------------------------------------------------------------------------------

  function step(stamp) {
    if (!now.playing) return;
    const passed = Math.min((stamp - (now.last || stamp)) / 1000, 0.1);
    now.last = stamp;
    now.frame += passed * motions.fps * Number(controls.speed.value);
    if (now.frame > now.frames - 1 + motions.fps / 2) now.frame = 0; // half a second's rest at the end
    draw();
    requestAnimationFrame(step);
  }

  function update() {
    const playing = now.wanted && now.seen;
    part("motion-play").textContent = now.wanted ? "Pause" : "Play";
    if (playing === now.playing) return;
    now.playing = playing;
    now.last = 0;
    if (playing) requestAnimationFrame(step);
  }

  function toggle() {
    now.wanted = !now.wanted;
    update();
  }

  function goTo(frame) {
    now.wanted = false;
    update();
    now.frame = Math.min(Math.max(frame, 0), now.frames - 1);
    draw();
  }

  // Hands --------------------------------------------------------------------------------------

  function turn(dx, dy) {
    camera.yaw += dx;
    camera.pitch = Math.min(Math.max(camera.pitch + dy, -0.2), 1.5);
    draw();
  }

  function zoomBy(factor) {
    camera.zoom = Math.min(Math.max(camera.zoom * factor, 0.4), 4);
    draw();
  }

  const fingers = new Map();
  stages.addEventListener("pointerdown", (event) => {
    if (!(event.target instanceof HTMLCanvasElement)) return;
    fingers.set(event.pointerId, event);
    event.target.setPointerCapture(event.pointerId);
  });
  stages.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const others = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
    fingers.set(event.pointerId, event);
    if (!others.length) return turn((before.clientX - event.clientX) / 120, (event.clientY - before.clientY) / 160);
    const gap = (finger) => Math.hypot(finger.clientX - others[0].clientX, finger.clientY - others[0].clientY);
    zoomBy(gap(event) / Math.max(gap(before), 1));
  });
  for (const name of ["pointerup", "pointercancel"]) stages.addEventListener(name, (event) => fingers.delete(event.pointerId));
  stages.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY / 300));
  }, { passive: false });
  stages.addEventListener("keydown", (event) => {
    const keys = {
      " ": toggle,
      ArrowLeft: () => goTo(Math.round(now.frame) - 1),
      ArrowRight: () => goTo(Math.round(now.frame) + 1),
      Home: () => goTo(0),
      End: () => goTo(now.frames - 1),
      ArrowUp: () => turn(0, 0.1),
      ArrowDown: () => turn(0, -0.1),
      a: () => turn(-0.15, 0),
      d: () => turn(0.15, 0),
      "+": () => zoomBy(1.15),
      "-": () => zoomBy(1 / 1.15),
      0: resetCamera,
    };
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  function resetCamera() {
    Object.assign(camera, { yaw: 0.6, pitch: 0.22, zoom: 1 });
    draw();
  }

  controls.view.replaceChildren(...motions.views.map((shown, i) => option(shown.label, i)));
  controls.view.parentElement.hidden = motions.views.length < 2;
  controls.view.addEventListener("change", chooseView);
  controls.clip.addEventListener("change", rebuild);
  controls.generation.addEventListener("input", () => {
    fillClips();
    rebuild();
    showGeneration(generationAt());
  });
  controls.time.addEventListener("input", () => goTo(Number(controls.time.value)));
  part("motion-play").addEventListener("click", toggle);
  part("reset").addEventListener("click", resetCamera);
  document.getElementById("theme").addEventListener("click", () => { readColours(); draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); draw(); });
  new ResizeObserver(draw).observe(stages);
  new IntersectionObserver((entries) => {
    now.seen = entries[entries.length - 1].isIntersecting;
    update();
  }).observe(stages);
  chooseView();
}

if (data.motions) playMotions(data.motions);
