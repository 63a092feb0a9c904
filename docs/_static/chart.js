// Draws the chart of a function's page from the data that come with it and the one specification that all share.
async function draw(figure) {
  const values = JSON.parse(figure.querySelector("script").textContent);
  const place = figure.querySelector(".chart");
  const columns = Math.max(1, Math.min(3, Math.floor((place.clientWidth + 40) / 260)));
  const width = Math.max(160, Math.floor(place.clientWidth / columns) - 62);
  const specification = JSON.parse(JSON.stringify(SPECIFICATION));
  specification.columns = columns;
  for (const panel of specification.concat) panel.width = width;
  try {
    await vegaEmbed(place, {...specification, data: {values}}, {renderer: "svg", actions: false});
  } catch (error) {
    place.textContent = error;
    place.classList.add("error");
    console.error(error);
  }
}
for (const figure of document.querySelectorAll(".curves")) draw(figure);
