const views = [];
const slider = document.getElementById("step");
const boxes = [...document.querySelectorAll("nav input[type=checkbox]")];

function update() {
  const step = slider ? steps[Number(slider.value)] : steps.at(-1);
  if (slider) document.getElementById("at").value = step;
  const shown = boxes.filter(box => box.checked).map(box => box.value);
  for (const view of views) {
    const known = view.getState().signals;
    if ("shown" in known) view.signal("shown", shown);
    if ("step" in known && step !== undefined) view.signal("step", step);
    view.runAsync();
  }
}

const options = {renderer: "svg", actions: false};
Promise.all(Object.entries(specifications).map(async ([name, specification]) => {
  const place = document.getElementById(name);
  try {
    views.push((await vegaEmbed(place, specification, options)).view);
  } catch (error) {
    place.textContent = error;
    place.classList.add("error");
    console.error(error);
  }
})).then(() => {
  update();
  document.body.dataset.charts = views.length;
});
if (slider) slider.addEventListener("input", update);
boxes.forEach(box => box.addEventListener("input", update));
// What is printed has the width of the paper, which containers of this page get only then.
for (const event of ["beforeprint", "afterprint"])
  window.addEventListener(event, () => views.forEach(view => view.resize().run()));
