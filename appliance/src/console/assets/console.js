// The console's script: it follows the appliance, says when it cannot, and has the browser sign what the server states.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const main = document.querySelector("main[data-page]");
  const STALE_MS = 3500;
  // Whatever does something, a statement that stands open included.
  const ACTING = "button.act, #sign, #reason-go, main form[method=post] button";
  // When the page was last heard of, by the appliance's clock: acts say it, too.
  let heardMs = main ? Number(main.dataset.now) : 0;
  // That clock as it goes on here. What comes late over a slow way is as old as it is, however fresh it looks.
  let [clockMs, clockAt] = [heardMs, performance.now()];
  const clock = () => clockMs + (performance.now() - clockAt);
  let isStale = false;
  let isActing = false;
  // The stream of events, while somebody looks: a browser has six connections for a host, and tabs that nobody sees leave them to others.
  let events = null;
  // Whether the stream that is open has told anything: until then what stands here is as it was when the one before was left.
  let isTold = true;
  // How long until the stream is asked for again that was refused, and why nothing is heard.
  const [PAUSE_MS, LONGEST_PAUSE_MS, SILENCE] = [500, 30000, "the appliance is not heard"];
  let pauseMs = PAUSE_MS;
  // What the live part is to be, once nobody reads a statement any more.
  let fresh = null;

  function tell(text, bad) {
    const told = find("told");
    told.textContent = text;
    told.classList.toggle("bad", Boolean(bad));
    told.hidden = !text;
  }

  async function post(path, body) {
    const headers = { "content-type": "application/json" };
    if (main) headers["x-csrf"] = main.dataset.csrf;
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
    const answer = await response.json().catch(() => ({ error: "the answer is not understood" }));
    if (!response.ok) throw Object.assign(new Error(answer.error || "refused"), { kind: answer.kind });
    return answer;
  }

  function sign(options) {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey);
    return navigator.credentials.get({ publicKey });
  }

  // What stands on the page is for looking at only, while nobody tells whether it is still so: what is old is marked, too.
  function judge() {
    const isOld = clock() - heardMs > STALE_MS;
    if (find("stale").hidden === isOld) {
      find("stale").hidden = !isOld;
      find("since").textContent = new Date(heardMs).toISOString().slice(0, 19).replace("T", " ");
    }
    if (isStale === (isOld || !isTold)) return;
    isStale = isOld || !isTold;
    document.querySelectorAll(ACTING).forEach((button) => { button.disabled = isStale; });
  }

  function countDown() {
    const now = clock();
    document.querySelectorAll("[data-until]").forEach((place) => {
      const left = Math.floor((Number(place.dataset.until) - now) / 1000);
      const text = left <= 0 ? "over" : left < 120 ? `${left} s left` : left < 7200 ? `${Math.floor(left / 60)} min left`
        : left < 172800 ? `${Math.floor(left / 3600)} h left` : `${Math.floor(left / 86400)} d left`;
      place.textContent = `(${text})`;
    });
  }

  // Makes what stands there as the fresh one is, and leaves alone what is the same: focus, selections and what was opened stay.
  function become(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    // Never the same button or link for something else: whoever is about to press it means what it was for.
    const leads = (node) => node.nodeType === Node.ELEMENT_NODE && (node.matches("button, a, input") ? node.outerHTML : "");
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || leads(old) !== leads(fresh)) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) { old.data = fresh.data; return; }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    becomeAll(old, fresh);
  }

  function becomeAll(old, fresh) {
    const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
    after.forEach((node, at) => { if (at < before.length) become(before[at], node); else old.append(node); });
    before.slice(after.length).forEach((node) => node.remove());
  }

  // What the page says, piece by piece, without what only counts the time.
  function said() {
    return [...document.querySelectorAll("main dd, main td, main .state, main article")].map((element) => {
      const copy = element.cloneNode(true);
      copy.querySelectorAll("[data-until]").forEach((place) => place.remove());
      return [element, copy.textContent];
    });
  }

  // Loads the page as it is now, which tells then what became of the act, and marks what is another.
  function lookAgain(told) {
    const before = { path: location.pathname, told, said: said().map(([, text]) => text) };
    sessionStorage.setItem("before", JSON.stringify(before));
    location.reload();
  }

  function tellWhatChanged() {
    const before = JSON.parse(sessionStorage.getItem("before") || "null");
    sessionStorage.removeItem("before");
    if (!before || before.path !== location.pathname) return;
    tell(before.told, true);
    const known = new Set(before.said);
    said().forEach(([element, text]) => { if (!known.has(text) && element.tagName !== "ARTICLE") element.classList.add("changed"); });
  }

  function showFresh() {
    const live = find("live");
    // Whoever reads a statement is not disturbed; what changes meanwhile the server refuses.
    if (fresh === null || isActing || live.querySelector("dialog[open]")) return;
    const name = (element) => element.dataset.wish || element.getAttribute("href");
    const focused = live.contains(document.activeElement) ? name(document.activeElement) : null;
    const told = document.createElement("div");
    told.innerHTML = fresh;
    fresh = null;
    becomeAll(live, told);
    if (focused && !live.contains(document.activeElement)) {
      [...live.querySelectorAll("button.act, a")].find((element) => name(element) === focused)?.focus();
    }
    listen();
  }

  function follow() {
    if (events || document.hidden) return;
    const stream = new EventSource(`/events?page=${encodeURIComponent(main.dataset.page)}`);
    events = stream;
    stream.addEventListener("beat", (event) => {
      heardMs = Math.max(heardMs, Number(event.data));
      if (heardMs > clock()) [clockMs, clockAt] = [heardMs, performance.now()];
      [isTold, pauseMs] = [true, PAUSE_MS];
      find("why").textContent = SILENCE;
      judge();
    });
    stream.addEventListener("page", (event) => { fresh = event.data; showFresh(); });
    stream.addEventListener("over", () => { location.href = "/login"; });
    // Newer pages of this operator have the places. It asks for one when somebody turns to it.
    stream.addEventListener("elsewhere", () => {
      leave();
      find("why").textContent = "you follow it on as many newer pages as one may; touch this page, or a key, to follow it here";
    });
    // What breaks off the browser takes up again; what was refused it does not.
    stream.addEventListener("error", () => { if (stream === events && stream.readyState === EventSource.CLOSED) followLater(stream.url); });
  }

  // After a restart nobody is logged in; whatever else refuses may come to an end.
  async function followLater(url) {
    leave();
    const answer = await fetch(url, { method: "HEAD", redirect: "manual", cache: "no-store" }).catch(() => null);
    if (answer?.status === 401 || answer?.type === "opaqueredirect") { location.href = "/login"; return; }
    find("why").textContent = answer && !answer.ok ? `what is asked is answered with status ${answer.status}` : SILENCE;
    setTimeout(follow, pauseMs);
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }

  function leave() {
    events?.close();
    [events, isTold] = [null, false];
    judge();
  }

  // An authenticator may cover the page: an act that is under way goes on hearing.
  function look() {
    if (document.hidden && !isActing) leave();
    follow();
    judge();
  }

  // Where an act wants a reason, the person gives it first.
  function ask(button, wish) {
    const place = button.classList.contains("ask-text") ? "text" : button.classList.contains("ask-reason") ? "reason" : null;
    if (!place) return Promise.resolve(true);
    const dialog = find("reason");
    find("reason-title").textContent = place === "text" ? "What did you find?" : "Why?";
    find("reason-text").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.onclose = () => {
        wish[place] = find("reason-text").value;
        resolve(dialog.returnValue === "yes" && wish[place] !== "");
      };
    });
  }

  // Shows the statement as the server says that it is shown, and waits for the person.
  function agreed(lines) {
    const dialog = find("statement");
    find("statement-text").replaceChildren(...lines.flatMap((line) => {
      const place = document.createElement("bdi");
      place.textContent = line.text;
      place.classList.toggle("marked", line.is_marked);
      return [place, "\n"];
    }));
    find("statement-marked").hidden = !lines.some((line) => line.is_marked);
    dialog.showModal();
    return new Promise((resolve) => {
      const end = (yes) => { dialog.close(); resolve(yes); };
      find("sign").onclick = () => end(true);
      find("leave").onclick = () => end(false);
      dialog.oncancel = () => resolve(false);
    });
  }

  async function act(button) {
    const wish = JSON.parse(button.dataset.wish);
    if (isActing) return;
    button.closest("article")?.querySelectorAll("input[data-part]").forEach((part) => { wish[part.dataset.part] = Number(part.value); });
    isActing = true;
    try {
      if (!(await ask(button, wish))) return;
      const begun = await post("/act/begin", { wish, shown: button.dataset.shown, heard_ms: heardMs });
      if (!(await agreed(begun.lines))) return tell("Nothing was done.");
      const credential = await sign(begun.options);
      const done = await post("/act/finish", { mark: begun.mark, response: credential.toJSON(), heard_ms: heardMs });
      tell(done.told);
      button.closest(".acts")?.querySelectorAll("button").forEach((other) => { other.disabled = true; });
    } catch (error) {
      if (error.kind === "changed" || error.kind === "refused") lookAgain(error.message);
      else tell(error.message, true);
    } finally {
      isActing = false;
      showFresh();
      look();
    }
  }

  function listen() {
    document.querySelectorAll(ACTING).forEach((button) => { button.disabled = isStale; });
    document.querySelectorAll("button.act").forEach((button) => { button.onclick = () => act(button); });
  }

  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const base64 = (array) => btoa(String.fromCharCode(...new Uint8Array(array)));
  const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));

  // RFC 6962 section 2.1.1, in the form of RFC 9162 section 2.1.3.2.
  async function rootOf(leaf, index, size, path) {
    let hash = await sha256(Uint8Array.of(0), leaf);
    let [node, last] = [BigInt(index), BigInt(size) - 1n];
    for (const sibling of path) {
      if (last === 0n) return null;
      if (node % 2n === 1n || node === last) {
        hash = await sha256(Uint8Array.of(1), sibling, hash);
        while (node % 2n === 0n && node !== 0n) { node /= 2n; last /= 2n; }
      } else {
        hash = await sha256(Uint8Array.of(1), hash, sibling);
      }
      node /= 2n;
      last /= 2n;
    }
    return last === 0n ? hash : null;
  }

  async function verify(proof) {
    const step = (text, good) => {
      const item = document.createElement("li");
      item.textContent = text;
      item.className = good ? "fine" : "bad";
      find("steps").append(item);
      return good;
    };
    const { leaf, index, size, root, path, text, signature, key } = proof.dataset;
    const found = await rootOf(bytes(leaf), index, size, path ? path.split(" ").map(bytes) : []);
    let holds = step("the entry's bytes and the path lead to the checkpoint's root", found && base64(found) === root);
    holds = step("the checkpoint's text states that root", text.split("\n")[2] === root && text.split("\n")[1] === size) && holds;
    try {
      // C2SP signed-note: name+id+base64 of the algorithm's number and the key.
      const raw = bytes(key.slice(key.indexOf("+", key.indexOf("+") + 1) + 1)).slice(1);
      const verifier = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
      const signed = await crypto.subtle.verify("Ed25519", verifier, bytes(signature), new TextEncoder().encode(text));
      holds = step("the HSM's key has signed the checkpoint", signed) && holds;
    } catch {
      holds = step("this browser has no Ed25519: download the proof to verify the signature", false) && holds;
    }
    find("verdict").textContent = holds ? "Verified by this page: the entry is in the signed log." : "This page could not verify it.";
    find("verdict").className = holds ? "fine" : "bad";
  }

  async function login() {
    try {
      const options = await post("/login/begin", {});
      const credential = await sign(options);
      await post("/login/finish", credential.toJSON());
      location.href = "/";
    } catch (error) { tell(error.message, true); }
  }

  async function enrol(button) {
    const path = `/enrol/${button.dataset.token}`;
    try {
      const options = await post(`${path}/begin`, {});
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey);
      const credential = await navigator.credentials.create({ publicKey });
      const done = await post(`${path}/finish`, credential.toJSON());
      find("line").textContent = done.line;
      find("enrolled").hidden = false;
      button.disabled = true;
      tell("");
    } catch (error) { tell(error.message, true); }
  }

  if (find("login")) find("login").onclick = login;
  if (find("enrol")) find("enrol").onclick = (event) => enrol(event.currentTarget);
  if (main) {
    tellWhatChanged();
    listen();
    follow();
    document.addEventListener("visibilitychange", look);
    for (const turned of ["focus", "pointerdown", "keydown"]) addEventListener(turned, look);
    setInterval(() => { judge(); countDown(); }, 500);
  }
  const proof = find("proof");
  if (proof) verify(proof).catch((error) => { find("verdict").textContent = `This page could not verify it: ${error.message}`; });
})();
