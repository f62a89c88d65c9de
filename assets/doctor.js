// The browser's probe of the connection doctor. It only measures; the server evaluates, by the same rules as for the shell's probe.
(() => {
  const root = document.getElementById("doctor");
  const base = root.dataset.base;
  const at = (id) => document.getElementById(id);
  const CHAT = "/ws/ai-chat";
  const PROBE = "/ws/doctor";
  const PAGE = "/_nicegui_ws/socket.io/";
  const REPLY_MS = 10_000;
  const ANSWER_MS = 90_000;
  const TRIPS = 10;
  const LARGE_BYTES = 1_310_720;
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const object = (text) => {
    try {
      const value = JSON.parse(text);
      return value && typeof value === "object" ? value : {};
    } catch {
      return {};
    }
  };

  // ---- over HTTP

  const names = (response) => ({
    server: (response.headers.get("server") || "").slice(0, 100),
    via: (response.headers.get("via") || "").slice(0, 100),
  });

  const ask = async (path, init = {}) => {
    try {
      const response = await fetch(base + path, {
        cache: "no-store",
        signal: AbortSignal.timeout(REPLY_MS),
        ...init,
      });
      const text = await response.text();
      const said = object(text);
      const isOurs =
        typeof said.message === "string" || (response.ok && Object.keys(said).length > 0);
      const message = response.ok ? "" : (said.message ?? text).slice(0, 200);
      return {
        said,
        reply: { status: response.status, is_ours: isOurs, message, ...names(response) },
      };
    } catch (e) {
      return {
        said: {},
        reply: { status: 0, is_ours: false, message: String(e.message || e).slice(0, 200) },
      };
    }
  };

  const stream = async () => {
    const [sent, came] = [[], []];
    let reply = { status: 0 };
    let encoding = "";
    const began = performance.now();
    try {
      const response = await fetch(`${base}/api/doctor/stream`, {
        cache: "no-store",
        signal: AbortSignal.timeout(2 * REPLY_MS),
      });
      encoding = response.headers.get("content-encoding") || "";
      reply = { status: response.status, is_ours: response.ok, ...names(response) };
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const ms = Math.round(performance.now() - began);
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          if (!line.startsWith("data:")) continue;
          sent.push(object(line.slice(5)).sent_ms);
          came.push(ms);
        }
      }
    } catch (e) {
      reply.message = String(e.message || e).slice(0, 200);
    }
    return { sent_ms: sent, came_ms: came, reply, encoding };
  };

  // Measures round trips and clock skew: `tell` requests the server's time and returns it with the time of arrival.
  const clocked = async (found, tell) => {
    const trips = [];
    const skews = [];
    for (let n = 0; n < TRIPS; n++) {
      const [left, wall] = [performance.now(), Date.now()];
      const { now, when } = await tell();
      trips.push(when - left);
      skews.push(now - wall / 1000 - (when - left) / 2000);
    }
    const best = trips.indexOf(Math.min(...trips));
    found.skew_s = Number(skews[best].toFixed(3));
    found.trips_ms = trips.map((ms) => Number(ms.toFixed(2)));
  };

  const echoed = async () => {
    const { said } = await ask("/api/doctor/echo");
    if (typeof said.now !== "number") throw new Error("no echo");
    return { now: said.now, when: performance.now() };
  };

  // ---- over WebSockets

  // Returns frames one after another, so that a measurement can be written sequentially. `next` throws when it is closed.
  class Socket {
    constructor(path) {
      this.frames = [];
      this.code = null;
      this.wake = () => {};
      this.isOpen = false;
      this.ws = new WebSocket(`${location.origin.replace("http", "ws")}${base}${path}`);
      this.ws.onopen = () => {
        this.isOpen = true;
        this.wake();
      };
      this.ws.onmessage = (e) => {
        this.frames.push([e.data, performance.now()]);
        this.wake();
      };
      this.ws.onclose = (e) => {
        this.code = e.code;
        this.wake();
      };
    }

    async until(isSo, ms) {
      const end = performance.now() + ms;
      while (!isSo()) {
        const left = end - performance.now();
        if (left <= 0) throw new Error("no answer in time");
        const woken = new Promise((done) => {
          this.wake = done;
        });
        await Promise.race([woken, pause(left)]);
      }
    }

    async opened() {
      await this.until(() => this.isOpen || this.code !== null, REPLY_MS);
      if (!this.isOpen) throw new Error("it does not open");
    }

    async next(ms = REPLY_MS) {
      await this.until(() => this.frames.length > 0 || this.code !== null, ms);
      if (!this.frames.length) throw new Error("closed");
      const [text, when] = this.frames.shift();
      return { ...object(text), when };
    }

    say(frame) {
      this.ws.send(JSON.stringify(frame));
    }
  }

  const upgrade = async (path) => {
    const socket = new Socket(path === PAGE ? `${path}?EIO=4&transport=websocket` : path);
    try {
      await socket.opened();
    } catch (e) {
      socket.ws.close();
      // pages can't see the response to a failed handshake: a plain request shows at least how far requests get
      const reply = path === PAGE ? { status: 0, message: e.message } : (await ask(path)).reply;
      return { path, is_open: false, reply };
    }
    const opened = performance.now();
    const found = {
      path,
      is_open: true,
      reply: { status: 101, is_ours: true },
      extensions: socket.ws.extensions,
    };
    try {
      if (path === CHAT) {
        await pause(200);
        socket.say({ type: "ping" });
      }
      await socket.next();
    } catch {
      found.closed_after_ms = Math.round(performance.now() - opened);
    }
    socket.ws.close();
    return found;
  };

  const talk = async (found) => {
    const socket = new Socket(PROBE);
    try {
      await socket.opened();
      found.socket_seen = (await socket.next()).seen;
      await clocked(found, () => {
        socket.say({ type: "ping" });
        return socket.next();
      });
      found.socket_stream = await pieces(socket);
    } catch {} // the missing figures show it
    socket.ws.close();
  };

  const pieces = async (socket) => {
    const [sent, came] = [[], []];
    const began = performance.now();
    socket.say({ type: "pieces" });
    socket.say({ type: "ping" }); // the pong arrives after the pieces
    for (;;) {
      const frame = await socket.next();
      if (frame.type !== "piece") break;
      sent.push(frame.sent_ms);
      came.push(Math.round(frame.when - began));
    }
    return { sent_ms: sent, came_ms: came, reply: { status: 101, is_ours: true }, encoding: "" };
  };

  const silence = async (seconds) => {
    const socket = new Socket(PROBE);
    try {
      await socket.opened();
      await socket.next();
    } catch {
      socket.ws.close();
      return null;
    }
    const began = performance.now();
    socket.say({ type: "silence", seconds });
    let isCut = false;
    try {
      await socket.next(seconds * 1000 + REPLY_MS);
    } catch {
      isCut = true;
    }
    const lasted = Math.min(seconds, (performance.now() - began) / 1000);
    const code = isCut ? (socket.code ?? 1006) : null;
    socket.ws.close();
    return { asked_s: seconds, lasted_s: Number(lasted.toFixed(2)), is_cut: isCut, code };
  };

  const question = async () => {
    const socket = new Socket(CHAT);
    const times = [];
    const began = performance.now();
    try {
      await socket.opened();
      socket.say({ type: "chat", message: "Count from one to twenty." });
      for (;;) {
        const frame = await socket.next(ANSWER_MS);
        if (frame.type === "chunk") times.push(Math.round(frame.when - began));
        if (frame.type === "done") return { times_ms: times.slice(0, 500) };
        if (frame.type === "error")
          return {
            times_ms: times.slice(0, 500),
            code: frame.code || "error",
            message: frame.message || "",
          };
      }
    } catch (e) {
      return { times_ms: times.slice(0, 500), code: "cut", message: e.message };
    } finally {
      socket.ws.close();
    }
  };

  // ---- the whole measurement

  const measure = async (seconds, step) => {
    const found = { prober: "browser", asked: location.origin, origin: location.origin, http: "" };
    const ready = await ask("/api/health/ready");
    found.ready = { ...ready.reply, is_ours: "provider" in ready.said || ready.reply.is_ours };
    if (typeof ready.said.memory_mb === "number") found.memory_mb = ready.said.memory_mb;
    step();
    found.upgrades = await Promise.all([CHAT, PROBE, PAGE].map(upgrade));
    step();
    const isOpen = (path) => found.upgrades.some((one) => one.path === path && one.is_open);
    const quiet = isOpen(PROBE) ? silence(seconds) : null;
    const echo = await ask("/api/doctor/echo");
    if ("host" in echo.said) found.seen = echo.said;
    found.http =
      performance
        .getEntriesByType("resource")
        .filter((e) => e.name.includes("/api/doctor/echo"))
        .at(-1)?.nextHopProtocol || "";
    found.post = (await ask("/api/doctor/echo", { method: "POST" })).reply;
    step();
    const [, streamed] = await Promise.all([
      isOpen(PROBE) ? talk(found) : null,
      found.seen ? stream() : null,
    ]);
    if (streamed) found.stream = streamed;
    if (found.seen && !found.trips_ms) await clocked(found, echoed).catch(() => {}); // no WebSocket has measured it
    step();
    if (found.seen && found.post.status !== 403) {
      found.large = (
        await ask("/api/doctor/large", { method: "POST", body: new Uint8Array(LARGE_BYTES) })
      ).reply;
    }
    step();
    if (isOpen(CHAT)) found.answer = await question();
    step();
    const still = await quiet;
    if (still) found.silence = still;
    step();
    return found;
  };

  const judged = async (found) => {
    const text = JSON.stringify(found);
    let { said } = await ask("/api/doctor/judge", {
      method: "POST",
      body: text,
      headers: { "Content-Type": "application/json" },
    });
    if (!said.findings)
      ({ said } = await ask(`/api/doctor/judge?measured=${encodeURIComponent(text)}`));
    return said.findings;
  };

  // ---- display

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const MARKS = { ok: "✓", warning: "!", failed: "✗", skipped: "–" };

  const shown = (finding) => {
    const item = element("li");
    item.dataset.state = finding.state;
    item.dataset.check = finding.check;
    const mark = element("span", "wd-mark", MARKS[finding.state]);
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", finding.state);
    const what = element("div", "wd-what");
    what.append(element("span", "", finding.seen));
    if (finding.hop || finding.remedy) {
      const who = element("p", "wd-hop");
      if (finding.hop) who.append("At fault: ", element("b", "", `the ${finding.hop}`), ". ");
      who.append(finding.remedy);
      what.append(who);
    }
    const lines = Object.entries(finding.lines);
    if (lines.length) {
      const box = element("div", "wd-lines");
      for (const [where, text] of lines) {
        const figure = element("figure");
        figure.append(element("figcaption", "", where), element("pre", "", text));
        box.append(figure);
      }
      what.append(box);
    }
    item.append(mark, element("strong", "", finding.check), what);
    return item;
  };

  const asText = (findings) =>
    findings
      .map((one) => {
        const who = [one.hop && `At fault: the ${one.hop}.`, one.remedy].filter(Boolean).join(" ");
        const lines = Object.entries(one.lines).map(
          ([where, text]) => `    ${where}: ${text.replaceAll("\n", "\n        ")}`,
        );
        return [`${MARKS[one.state]} ${one.check}: ${one.seen}`, who && `    ${who}`, ...lines]
          .filter(Boolean)
          .join("\n");
      })
      .join("\n");

  let report = "";

  const examine = async () => {
    const [button, progress, verdict] = [at("examine"), at("progress"), at("verdict")];
    button.disabled = true;
    at("report").hidden = true;
    progress.hidden = false;
    progress.value = 0;
    delete verdict.dataset.state;
    verdict.textContent = root.dataset.measuring;
    let findings;
    try {
      findings = await judged(
        await measure(Number(at("silence").value), () => {
          progress.value += 1 / 7;
        }),
      );
    } catch (e) {
      console.warn(e);
    }
    progress.hidden = true;
    button.disabled = false;
    button.textContent = root.dataset.again;
    if (!findings) {
      verdict.dataset.state = "failed";
      verdict.textContent = root.dataset.unjudged;
      return;
    }
    const bad = findings.filter((one) => one.state === "failed" || one.state === "warning");
    verdict.dataset.state = bad.some((one) => one.state === "failed")
      ? "failed"
      : bad.length
        ? "warning"
        : "ok";
    verdict.textContent = bad.length
      ? root.dataset.look.replace("{count}", bad.length)
      : root.dataset.well;
    at("findings").replaceChildren(...findings.map(shown));
    at("report").hidden = false;
    report = asText(findings);
    at("copy").textContent = root.dataset.copyWord;
  };

  at("command").textContent = `wireside doctor ${location.origin}${base}`; // the server may see another name
  at("examine").addEventListener("click", examine);
  at("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(report);
      at("copy").textContent = root.dataset.copied;
    } catch {
      getSelection().selectAllChildren(at("findings"));
    }
  });
})();
