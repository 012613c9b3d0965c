// The live parts of the dashboard: the feed by server-sent events, and what may change on a page read again.
"use strict";

const FEED_LINES = 80;
const QUIET_MS = 10000; // times, ramps and buckets move also when nothing happens

function row(line) {
  const item = document.createElement("li");
  item.className = "fresh";
  const time = document.createElement("time");
  time.dateTime = line.at;
  time.textContent = line.at.slice(11, 19);
  const text = document.createElement(line.incident ? "a" : "span");
  if (line.incident) text.href = "/incidents/" + encodeURIComponent(line.incident);
  text.className = line.tone;
  text.textContent = line.text;
  item.append(time, text);
  return item;
}

// The same sentence once more: counted on the row that says it.
function countAgain(item, line) {
  let times = item.querySelector(".times");
  if (!times) {
    times = document.createElement("b");
    times.className = "times";
    times.textContent = "1×";
    item.append(" ", times);
  }
  times.textContent = (parseInt(times.textContent, 10) + 1) + "×";
  item.querySelector("time").textContent = line.at.slice(11, 19);
}

// Put the new content of a part in its place, and the keyboard back to where it was.
function replacePart(part, next) {
  const focused = document.activeElement;
  const inside = part.contains(focused) ? focused : null;
  if (inside && inside.matches("input, select, textarea")) return;
  const links = (where) => [...where.querySelectorAll("a[href], button, summary, [tabindex]")];
  const at = inside ? links(part).indexOf(inside) : -1;
  const href = inside ? inside.getAttribute("href") : null;
  const scrolled = [...part.querySelectorAll(".feed, .scroll")].map((one) => [one.scrollTop, one.scrollLeft]);
  part.innerHTML = next.innerHTML;
  [...part.querySelectorAll(".feed, .scroll")].forEach((one, number) => {
    if (scrolled[number]) [one.scrollTop, one.scrollLeft] = scrolled[number];
  });
  if (inside) {
    const again = links(part);
    const target = (href && again.find((one) => one.getAttribute("href") === href)) || again[at];
    if (target) target.focus({ preventScroll: true });
  }
  reachable(part);
}

// What can be scrolled sideways can be reached by the keyboard, and only that.
function reachable(where) {
  for (const one of where.querySelectorAll(".scroll")) {
    const wide = one.scrollWidth > one.clientWidth + 1;
    if (wide) {
      one.tabIndex = 0;
      one.setAttribute("role", "region");
      const title = one.closest("section")?.querySelector("h2");
      one.setAttribute("aria-label", title ? title.textContent.trim() : "Table");
    } else if (one.tabIndex === 0) {
      for (const name of ["tabindex", "role", "aria-label"]) one.removeAttribute(name);
    }
  }
}

let reading = false;
let again = false;

async function refresh() {
  if (document.hidden) return;
  if (reading) { again = true; return; }
  reading = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Aegis-Part": "live" } });
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(part.id);
        if (next && next.innerHTML !== part.innerHTML) replacePart(part, next);
      }
    }
  } catch { /* the next change tries again */ }
  setTimeout(() => { reading = false; if (again) { again = false; refresh(); } }, 1000);
}

if (document.querySelector("[data-live]")) {
  const list = document.getElementById("feed-lines");
  const source = new EventSource("/api/feed");
  source.onmessage = (message) => {
    if (list) {
      const line = JSON.parse(message.data);
      const newest = list.firstElementChild;
      if (newest && newest.querySelector("a, span").textContent === line.text) countAgain(newest, line);
      else list.prepend(row(line));
      while (list.children.length > FEED_LINES) list.lastElementChild.remove();
      document.getElementById("feed-empty")?.remove();
    }
    refresh();
  };
  setInterval(refresh, QUIET_MS);
  document.addEventListener("visibilitychange", refresh);
}

reachable(document);
addEventListener("resize", () => reachable(document));
for (const one of document.querySelectorAll(".filter select")) one.addEventListener("change", () => one.form.requestSubmit());
