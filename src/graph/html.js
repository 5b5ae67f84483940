"use strict";
const main = document.querySelector("main");
const svg = main.querySelector("svg");
const panel = document.getElementById("panel");
const search = document.getElementById("search");
const found = document.getElementById("found");
const { x, y, width, height } = svg.viewBox.baseVal;
const whole = { x, y, width, height };
const templates = [...document.querySelectorAll("template")];

let view = { ...whole };
function show() {
  svg.setAttribute("viewBox", [view.x, view.y, view.width, view.height].join(" "));
}

// A point of the window in the picture's own measure.
function at(event) {
  return new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
}

function zoom(factor, centre) {
  const width = Math.min(Math.max(view.width * factor, 120), whole.width * 4);
  const by = width / view.width;
  view = {
    x: centre.x - (centre.x - view.x) * by,
    y: centre.y - (centre.y - view.y) * by,
    width,
    height: view.height * by,
  };
  show();
}

function middle() {
  return { x: view.x + view.width / 2, y: view.y + view.height / 2 };
}

function fit() {
  view = { ...whole };
  show();
}

// Moves what is shown so that an object is in the middle of it, near enough to be read.
function go(group) {
  const box = group.getBBox();
  const scale = Math.max((box.width * 1.6) / whole.width, (box.height * 1.6) / whole.height, 700 / whole.width);
  const [width, height] = [whole.width * Math.min(scale, 1), whole.height * Math.min(scale, 1)];
  view = { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
  show();
}

// Where a template's object is drawn: itself, else what it is in.
function drawn(template) {
  return document.getElementById(template.dataset.for) ?? document.getElementById(template.dataset.in);
}

function named(id) {
  return templates.find((template) => template.dataset.for === id);
}

function choose(template) {
  svg.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
  paint(null);
  panel.hidden = !template;
  if (!template) return;
  drawn(template)?.classList.add("chosen");
  panel.replaceChildren(template.content.cloneNode(true));
  panel.scrollTop = 0;
  panel.querySelectorAll("[data-open]").forEach((row) => {
    row.addEventListener("click", () => choose(named(row.dataset.open)));
  });
  panel.querySelectorAll("[data-reach]").forEach((place) => {
    const group = templates.find((other) => other.dataset.group === place.dataset.reach);
    place.replaceChildren(group.content.cloneNode(true));
    paint(group);
  });
}

// Shows on everything that is in a group whether the chosen one reaches it.
function paint(group) {
  const answers = new Map(group?.dataset.to.split(" ").map((pair) => pair.split(":")) ?? []);
  svg.querySelectorAll("[data-group]").forEach((object) => {
    object.classList.remove("r-yes", "r-partly", "r-no", "r-open");
    const answer = answers.get(object.dataset.group);
    if (answer) object.classList.add(`r-${answer}`);
  });
}

function find() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const isHit = (template) => words.every((word) => template.dataset.words?.includes(word));
  const hits = words.length ? templates.filter(isHit) : [];
  svg.querySelectorAll(".hit").forEach((other) => other.classList.remove("hit"));
  hits.forEach((template) => {
    const group = drawn(template);
    group?.classList.add("hit");
    group?.closest(".subnet")?.classList.add("hit");
  });
  main.classList.toggle("searched", words.length > 0);
  found.textContent = words.length ? `${hits.length} found` : "";
  return hits;
}

main.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), at(event));
}, { passive: false });

let drag = null;
main.addEventListener("pointerdown", (event) => {
  drag = { x: event.clientX, y: event.clientY, from: { ...view }, moved: false };
});
window.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  drag.moved ||= Math.hypot(dx, dy) > 4;
  if (!drag.moved) return;
  main.classList.add("dragged");
  const scale = 1 / svg.getScreenCTM().a;
  view = { ...view, x: drag.from.x - dx * scale, y: drag.from.y - dy * scale };
  show();
});
window.addEventListener("pointerup", (event) => {
  if (drag && !drag.moved) {
    const group = event.target.closest?.("main .workload, main .subnet, main .link, main .vpc");
    choose(group && named(group.id));
  }
  drag = null;
  main.classList.remove("dragged");
});

search.addEventListener("input", find);
search.addEventListener("keydown", (event) => {
  const hit = event.key === "Enter" && find()[0];
  if (hit) {
    go(drawn(hit));
    choose(hit);
  }
});
window.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    search.value = "";
    search.blur();
    find();
    choose(null);
  }
  if (event.target === search || event.ctrlKey || event.metaKey) return;
  if (event.key === "/") {
    event.preventDefault();
    search.focus();
  }
  if (event.key === "+") zoom(0.8, middle());
  if (event.key === "-") zoom(1.25, middle());
  if (event.key === "0") fit();
});
document.getElementById("in").addEventListener("click", () => zoom(0.8, middle()));
document.getElementById("out").addEventListener("click", () => zoom(1.25, middle()));
document.getElementById("fit").addEventListener("click", fit);
