"use strict";
// Does with a page of `northc graph --format html --reach` what a person does, and says what is wrong.
const failures = [];
let checked = 0;

function same(what, got, want) {
  checked += 1;
  if (got !== want) failures.push(`${what}: ${got}, not ${want}`);
}

function holds(what, is) {
  same(what, Boolean(is), true);
}

function point(object) {
  const box = object.getBoundingClientRect();
  return { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true, cancelable: true };
}

function click(object) {
  object.dispatchEvent(new PointerEvent("pointerdown", point(object)));
  object.dispatchEvent(new PointerEvent("pointerup", point(object)));
}

function key(name, target = window) {
  target.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
}

function type(text) {
  search.value = text;
  search.dispatchEvent(new Event("input"));
}

function workload(name) {
  return [...document.querySelectorAll("svg .workload")].find((it) => it.textContent.includes(name));
}

const box = () => svg.getAttribute("viewBox");

holds("names are text", !window.hacked && document.scripts.length === 2);
holds("the picture is seen", workload(FIRST).getBoundingClientRect().width > 10);
holds("nothing is open at first", panel.hidden);

click(workload(FIRST).querySelector("text"));
holds("a click opens the panel", !panel.hidden);
holds("with the name", panel.querySelector("h2").textContent.includes(FIRST));
holds("the YAML", panel.querySelector("pre mark") && panel.querySelector("pre").textContent.includes(FIRST));
holds("the rows", panel.textContent.includes("Logical_Switch_Port"));
holds("whom it reaches", panel.textContent.includes("Reaches") && panel.textContent.includes(REACHED));
same("what is reached is painted", workload(REACHED).classList.contains(`r-${HOW}`), true);
same("the chosen one is marked", document.querySelectorAll(".chosen").length, 1);

click(document.querySelector("svg .subnet .name"));
holds("a subnet opens", panel.querySelector("small").textContent === "subnet");
panel.querySelector("[data-open]").click();
holds("and what is in it", panel.querySelector("small").textContent === "machine");
click(document.querySelector("svg .link path"));
holds("a line opens", /peering|way out/.test(panel.querySelector("small").textContent));
click(document.querySelector("svg .vpc .title"));
holds("a box opens", /VPC|network/.test(panel.querySelector("small").textContent));
key("Escape");
holds("Escape closes", panel.hidden && !document.querySelector(".chosen"));

key("/");
same("a slash goes to the search", document.activeElement, search);
type(FIRST);
same("one is found", found.textContent, "1 found");
holds("and marked", workload(FIRST).classList.contains("hit"));
const whole_box = box();
key("Enter", search);
holds("Enter shows it", !panel.hidden && box() !== whole_box);
type("nothing-is-called-this");
same("nothing is found", found.textContent, "0 found");
key("Escape", search);
search.blur();
key("0");
same("0 shows all", box(), whole_box);

key("+");
const near = box();
holds("+ goes nearer", Number(near.split(" ")[2]) < Number(whole_box.split(" ")[2]));
main.dispatchEvent(new WheelEvent("wheel", { ...point(main), deltaY: -300 }));
holds("the wheel too", Number(box().split(" ")[2]) < Number(near.split(" ")[2]));
const before = box();
const from = point(main);
main.dispatchEvent(new PointerEvent("pointerdown", from));
window.dispatchEvent(new PointerEvent("pointermove", { ...from, clientX: from.clientX + 90 }));
window.dispatchEvent(new PointerEvent("pointerup", { ...from, clientX: from.clientX + 90 }));
holds("a drag moves it", Number(box().split(" ")[0]) < Number(before.split(" ")[0]));
document.getElementById("fit").click();
same("Fit shows all", box(), whole_box);

document.body.dataset.checked = checked;
document.body.dataset.failed = failures.join("; ");
