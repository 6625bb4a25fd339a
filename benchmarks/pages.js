// What is painted, and when: measured inside the page, in milliseconds of performance.now.
globalThis.measure = (() => {
  /** The first element, in the page or in a widget's own tree. */
  const find = (selector) => {
    const trees = [...document.querySelectorAll(".vaw")].map(({ shadowRoot }) => shadowRoot);
    for (const tree of [document, ...trees]) {
      const element = tree?.querySelector(selector);
      if (element) return element;
    }
    return null;
  };
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const TOGETHER = 1500;
  const frame = () => new Promise((done) => requestAnimationFrame(done));

  /** Ends when the work of the frame that is being made is done, its painting with it. */
  const after = () =>
    new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => done(performance.now());
      port2.postMessage(0);
    });

  /** A number that differs where canvases do; null while one of them is not there. */
  const look = (selectors) => {
    let sum = 0;
    for (const canvas of selectors.map(find)) {
      if (!canvas) return null;
      const { width, height } = canvas;
      const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
      const pixels = new Uint32Array(data.buffer);
      for (let i = 0; i < pixels.length; i += 7) sum = Math.imul(sum ^ pixels[i], 16777619);
    }
    return sum;
  };

  /** Collects when canvases change, frame by frame, until it is stopped. */
  const watch = (selectors) => {
    const watched = { changes: [], on: true };
    let last = look(selectors);
    const step = async () => {
      while (watched.on) {
        await frame();
        const now = look(selectors);
        if (now !== last) watched.changes.push(await after());
        last = now;
      }
    };
    step();
    return watched;
  };

  /**
   * Does something `count` times. What it took to do, and until a frame was painted with the
   * `changes`-th new look of a canvas, or the last one where several came in one frame.
   */
  const times = async (act, count, selector, changes) => {
    const selectors = [selector].flat();
    const found = [];
    for (let i = 0; i < count; i++) {
      await pause(50);
      let last = look(selectors);
      const start = performance.now();
      act(i);
      const done = performance.now() - start;
      let [seen, shown] = [0, 0];
      while (seen < changes) {
        await frame();
        const now = look(selectors);
        const passed = (await after()) - start;
        if (now !== last) [seen, shown, last] = [seen + 1, passed, now];
        else if (seen > 0 && passed - shown > TOGETHER) break; // both came in one frame
        else if (changes === 1 || passed > 20000) throw new Error(`click ${i} changed nothing`);
      }
      found.push([done, shown]);
    }
    return found;
  };

  /** Clicks on patches all over a picture of rows x cols. */
  const patches = (selector, count, rows, cols, changes) => {
    const canvas = find(selector);
    const click = (i) => {
      const box = canvas.getBoundingClientRect();
      const patch = (Math.floor(((i + 1) * rows * cols) / (count + 1)) + 1) % (rows * cols);
      const at = {
        clientX: box.left + (((patch % cols) + 0.5) / cols) * box.width,
        clientY: box.top + ((Math.floor(patch / cols) + 0.5) / rows) * box.height,
        bubbles: true,
        pointerId: 1,
      };
      for (const type of ["pointermove", "pointerdown", "pointerup"])
        canvas.dispatchEvent(new PointerEvent(type, at));
    };
    return times(click, count, selector, changes);
  };

  /**
   * What a click takes that changes a few pixels and nothing else: the browser's own share, and that
   * of looking at a canvas.
   */
  const nothing = async (selector, count) => {
    const canvas = document.createElement("canvas");
    canvas.id = "nothing";
    canvas.width = canvas.height = 8;
    canvas.style = "position: fixed; left: 0; top: 0; z-index: 9";
    document.body.append(canvas);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const paint = (i) => {
      context.fillStyle = `rgb(${(i * 7 + 9) % 256} 9 9)`;
      context.fillRect(0, 0, 8, 8);
    };
    const found = await times(paint, count, ["#nothing", selector], 1);
    canvas.remove();
    return found;
  };

  /** Clicks on one layer of the film after another. */
  const layers = (root, count, total, selector) =>
    times((i) => find(`${root} [data-testid=frame-${i % (total - 1)}]`).click(), count, selector, 1);

  /** Clicks on heads of one layer after another. */
  const heads = (root, count, total, selector) =>
    times(
      (i) => find(`${root} [data-testid=head-${i % (total - 1)}-${i % 4}]`).click(),
      count,
      selector,
      1,
    );

  /** Presses a button. */
  const presses = (button, count, selector) =>
    times(() => find(button).click(), count, selector, 1);

  /** Moves a slider by a step every frame; when each frame began. */
  const scrub = async (selector, milliseconds, canvas) => {
    const slider = find(selector);
    const last = Number(slider.max);
    const move = (i) => {
      slider.value = String(last - Math.abs(last - (i % (2 * last || 1))));
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    };
    await times(move, last + 1, canvas, 1);
    const began = [await frame()];
    while (began[began.length - 1] - began[0] < milliseconds) {
      move(began.length);
      began.push(await frame());
    }
    return began;
  };

  return { watch, patches, nothing, layers, heads, presses, scrub };
})();
