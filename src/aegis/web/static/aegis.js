// The live parts of the dashboard: the feed by server-sent events, and the rest of the page read again when it changed.
"use strict";

const FEED_LINES = 80;

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

let reading = false;
let again = false;

async function refresh() {
  if (reading) { again = true; return; }
  reading = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Aegis-Part": "live" } });
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const next = fresh.getElementById(part.id);
        if (next && next.innerHTML !== part.innerHTML) part.innerHTML = next.innerHTML;
      }
    }
  } catch { /* the next change tries again */ }
  setTimeout(() => { reading = false; if (again) { again = false; refresh(); } }, 1000);
}

const list = document.getElementById("feed-lines");
if (list) {
  const source = new EventSource("/api/feed");
  source.onmessage = (message) => {
    const line = JSON.parse(message.data);
    const newest = list.firstElementChild;
    if (newest && newest.querySelector("a, span").textContent === line.text) countAgain(newest, line);
    else list.prepend(row(line));
    while (list.children.length > FEED_LINES) list.lastElementChild.remove();
    refresh();
  };
}
