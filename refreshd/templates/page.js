// Keeps a page up to date: asks for it again, and puts what has changed into the parts that are marked live. Without it, reload.
"use strict";

const EVERY_MS = 5000;
const PATIENCE_MS = 8000;
const FOCUSABLE = "a[href], button, input, select, textarea, [tabindex]";

const silence = document.getElementById("silence");
const live = document.getElementById("live");
let answered = new Date();

function isInUse(part) {
  const selection = document.getSelection();
  const selecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  const typing = part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  return selecting || typing;
}

// The focus stays where it is: on the same link, or else on the one in the same place.
function replace(part, fresh) {
  const held = part.contains(document.activeElement) ? document.activeElement : null;
  const place = held ? [...part.querySelectorAll(FOCUSABLE)].indexOf(held) : -1;
  const target = held && held.getAttribute("href");
  const scrolled = [...part.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
  part.replaceChildren(...document.importNode(fresh, true).childNodes);
  part.querySelectorAll(".scroll").forEach((box, index) => { box.scrollLeft = scrolled[index] || 0; });
  if (held) {
    const all = [...part.querySelectorAll(FOCUSABLE)];
    const again = all.find((each) => target && each.getAttribute("href") === target) || all[place];
    if (again) again.focus({ preventScroll: true });
  }
}

function show(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const found = fresh.getElementById(part.id);
    if (found && found.innerHTML !== part.innerHTML && !isInUse(part)) replace(part, found);
  }
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.text());
    answered = new Date();
    silence.hidden = true;
  } catch {
    silence.textContent = `refreshd does not answer. What stands here is as of ${answered.toLocaleTimeString()}.`;
    silence.hidden = false;
  }
}

async function keep() {
  await refresh();
  setTimeout(keep, EVERY_MS);
}

if (live && document.querySelector("main [data-live]")) {
  live.textContent = ", updated by itself";
  setTimeout(keep, EVERY_MS);
  document.addEventListener("visibilitychange", refresh);
}
