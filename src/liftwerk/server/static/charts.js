// Draws what the server wrote into the page. All words and numbers come written; colours are the
// page's custom properties, so that theme and print need no second drawing.
"use strict";

const COLOUR = {
  accent: "var(--accent)",
  soft: "var(--accent-soft)",
  ink: "var(--ink)",
  dim: "var(--dim)",
  rule: "var(--rule)",
  edge: "var(--edge)",
  paper: "var(--paper)",
};
const SANS = getComputedStyle(document.body).fontFamily;
const LETTERS = "ABCDEFGHIJ";

function tip(lines) {
  const box = document.createElement("div");
  box.className = "tip";
  for (const line of lines) {
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    box.append(paragraph);
  }
  return box;
}

function base(drawing, x) {
  return {
    animation: false,
    textStyle: { fontFamily: SANS, fontSize: 12, color: COLOUR.dim },
    aria: { enabled: true, label: { enabled: true, description: drawing.words } },
    grid: { left: 48, right: 22, top: 12, bottom: 44, outerBoundsMode: "none" },
    tooltip: {
      trigger: "axis",
      confine: true,
      padding: 0,
      borderWidth: 0,
      backgroundColor: "transparent",
      extraCssText: "box-shadow: none",
      transitionDuration: 0,
      axisPointer: {
        type: "line",
        lineStyle: { color: COLOUR.edge, type: "solid", width: 1 },
        animation: false,
        label: { show: false },
      },
      formatter: (items) => {
        const first = Array.isArray(items) ? items[0] : items;
        return tip(drawing.texts[first.dataIndex] || []);
      },
    },
    xAxis: {
      name: drawing.names.x,
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: { color: COLOUR.dim, fontSize: 12 },
      axisLine: { show: true, lineStyle: { color: COLOUR.edge } },
      axisTick: { show: false },
      axisLabel: { color: COLOUR.dim },
      splitLine: { show: false },
      ...x,
    },
    yAxis: {
      type: "value",
      min: drawing.range[0],
      max: drawing.range[1],
      interval: drawing.step,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: {
        color: COLOUR.dim,
        formatter: (value) =>
          drawing.axis[Math.round((value - drawing.range[0]) / drawing.step)]?.text ?? "",
        showMinLabel: true,
        showMaxLabel: true,
      },
      splitLine: { show: true, lineStyle: { color: COLOUR.rule } },
      axisPointer: { show: false },
    },
  };
}

const SHARE_AXIS = {
  type: "value",
  min: 0,
  max: 1,
  interval: 0.25,
  axisLabel: { color: COLOUR.dim, formatter: (value) => `${Math.round(value * 100)}%` },
};

function zip(...columns) {
  return columns[0].map((_, index) => columns.map((column) => column[index]));
}

function band(drawing) {
  const upper = zip(drawing.x, drawing.high);
  const lower = zip(drawing.x, drawing.low).reverse();
  return {
    type: "custom",
    silent: true,
    tooltip: { show: false },
    z: 1,
    clip: true,
    data: [[0, 0]],
    renderItem: (params, api) => ({
      type: "polygon",
      shape: { points: [...upper, ...lower].map((point) => api.coord(point)) },
      style: { fill: COLOUR.soft },
    }),
  };
}

function curve(drawing) {
  return {
    type: "line",
    data: zip(drawing.x, drawing.line),
    showSymbol: false,
    symbol: "circle",
    symbolSize: 7,
    lineStyle: { color: COLOUR.accent, width: 2.5 },
    itemStyle: { color: COLOUR.accent },
    emphasis: { disabled: true },
    z: 3,
  };
}

function zeroLine() {
  return {
    silent: true,
    symbol: "none",
    label: { show: false },
    emphasis: { disabled: true },
    lineStyle: { color: COLOUR.edge, type: "solid", width: 1 },
    data: [{ yAxis: 0 }],
  };
}

const DRAW = {
  qini(drawing) {
    const option = base(drawing, SHARE_AXIS);
    option.series = [
      { ...curve(drawing), markLine: zeroLine() },
      band(drawing),
      {
        type: "line",
        silent: true,
        data: drawing.lot,
        showSymbol: false,
        symbol: "none",
        lineStyle: { color: COLOUR.edge, width: 1.8, type: [5, 4] },
        emphasis: { disabled: true },
        tooltip: { show: false },
        z: 2,
      },
    ];
    return option;
  },

  deciles(drawing) {
    const option = base(drawing, { type: "category", data: drawing.x });
    option.xAxis.axisLine.onZero = false;
    option.series = [
      {
        type: "scatter",
        data: drawing.observed,
        symbol: "circle",
        symbolSize: 8,
        itemStyle: { color: COLOUR.ink, opacity: 1 },
        emphasis: { disabled: true },
        markLine: zeroLine(),
        z: 3,
      },
      {
        type: "custom",
        silent: true,
        clip: true,
        z: 2,
        data: zip(drawing.low.map((_, index) => index), drawing.low, drawing.high),
        encode: { x: 0, y: [1, 2] },
        renderItem: (params, api) => {
          const [x, low] = api.coord([api.value(0), api.value(1)]);
          const high = api.coord([api.value(0), api.value(2)])[1];
          return {
            type: "line",
            shape: { x1: x, y1: low, x2: x, y2: high },
            style: { stroke: COLOUR.edge, lineWidth: 2.5 },
          };
        },
      },
      {
        type: "scatter",
        data: drawing.predicted,
        symbol: "diamond",
        symbolSize: 11,
        symbolOffset: [8, 0],
        itemStyle: { color: COLOUR.accent, opacity: 1 },
        emphasis: { disabled: true },
        z: 3,
      },
    ];
    return option;
  },

  profit(drawing) {
    const option = base(drawing, SHARE_AXIS);
    option.series = [
      { ...curve(drawing), markLine: zeroLine() },
      band(drawing),
      {
        type: "scatter",
        silent: true,
        clip: false,
        tooltip: { show: false },
        symbol: "circle",
        symbolSize: 16,
        data: drawing.marks.map((mark) => mark.at),
        itemStyle: { color: COLOUR.ink, opacity: 1 },
        emphasis: { disabled: true },
        label: {
          show: true,
          position: "inside",
          color: COLOUR.paper,
          fontSize: 10.5,
          fontWeight: 650,
          formatter: (item) => LETTERS[item.dataIndex],
        },
        z: 4,
      },
    ];
    return option;
  },
};

// Pixels on A4 between the margins, for a half and for a whole width.
const PAPER = { half: { width: 335, height: 176 }, whole: { width: 688, height: 240 } };

function draw(box, drawing) {
  const chart = echarts.init(box, null, { renderer: "svg" });
  chart.setOption(DRAW[drawing.kind](drawing));
  // The view box lets print scale the drawing; flushing paints now, not in the next frame.
  const fit = () => {
    chart.getZr().flush();
    const svg = box.querySelector("svg");
    svg.setAttribute("viewBox", `0 0 ${chart.getWidth()} ${chart.getHeight()}`);
    svg.setAttribute("focusable", "false");
  };
  fit();
  box.dataset.drawn = drawing.id;
  let printing = false;
  let width = box.clientWidth;
  new ResizeObserver(() => {
    if (!printing && box.clientWidth !== width) {
      width = box.clientWidth;
      chart.resize({ width: "auto", height: "auto" });
      fit();
    }
  }).observe(box);
  addEventListener("beforeprint", () => {
    printing = true;
    chart.resize(box.classList.contains("tall") ? PAPER.whole : PAPER.half);
    fit();
  });
  addEventListener("afterprint", () => {
    printing = false;
    chart.resize({ width: "auto", height: "auto" });
    fit();
  });
}

const drawings = JSON.parse(document.getElementById("drawings").textContent);
for (const drawing of drawings) {
  draw(document.querySelector(`[data-drawing="${drawing.id}"]`), drawing);
}
