// Bars, one on the other, by uPlot. A picture for those who see it; its words stand beside it and its table below it.

import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";
import uPlot from "uplot";
import { theme } from "./header.tsx";

export interface Series {
  readonly name: string;
  /** Of a custom property: `--cloud`. */
  readonly colour: string;
  readonly values: readonly number[];
}

export interface ChartProps {
  readonly label: string;
  readonly labels: readonly string[];
  /** Bottom first. */
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  /** The bar under the pointer; null: none. */
  readonly onPoint: (index: number | null) => void;
}

const HEIGHT = 150;
const dark = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

export function Chart(props: ChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shape = `${props.series.map(({ name }) => name).join()} ${props.labels.length}`;
  const themed = theme.value;

  useEffect(() => {
    const node = box.current!;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(latest, node), dataOf(latest.current), node);
    };
    draw();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: node.clientWidth, height: HEIGHT }));
    sized.observe(node);
    dark?.addEventListener("change", draw);
    return () => {
      sized.disconnect();
      dark?.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, themed]);

  useEffect(() => {
    plot.current?.setData(dataOf(props));
  }, [JSON.stringify(props.series.map(({ values }) => values)), props.labels.join()]);

  return <div class="chart" role="img" aria-label={props.label} ref={box} />;
}

/** What stands on something else is drawn first, at the height of both. */
function dataOf({ labels, series }: ChartProps): uPlot.AlignedData {
  const x = labels.map((_, i) => i);
  const stacked: number[][] = [];
  let below = x.map(() => 0);
  for (const { values } of series) {
    below = below.map((height, i) => height + (values[i] ?? 0));
    stacked.push(below);
  }
  return [x, ...stacked.toReversed()] as uPlot.AlignedData;
}

function optionsOf(latest: { readonly current: ChartProps }, node: HTMLElement): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const bars = uPlot.paths.bars!({ size: [0.72, 36], radius: 0.15 });
  const font = "11px system-ui, sans-serif";
  const text = colour("--dim");
  return {
    width: Math.max(120, node.clientWidth),
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, range: (_, min, max) => [min - 0.6, max + 0.6] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.05 : 1] },
    },
    axes: [
      {
        stroke: text,
        font,
        size: 24,
        gap: 4,
        grid: { show: false },
        ticks: { show: false },
        // The newest has a label, and as many before it as there is room for.
        splits: (self) => {
          const count = latest.current.labels.length;
          const every = Math.max(1, Math.ceil(count / Math.max(2, Math.floor(self.width / 62))));
          return latest.current.labels.map((_, i) => i).filter((i) => (count - 1 - i) % every === 0);
        },
        values: (_, splits) => splits.map((i) => latest.current.labels[i] ?? ""),
      },
      {
        stroke: text,
        font,
        size: 58,
        gap: 6,
        space: 36,
        grid: { stroke: colour("--line"), width: 1 },
        ticks: { show: false },
        values: (self, splits) =>
          splits.map((value) => ((self.scales["y"]?.max ?? 0) === 1 && value > 0 ? "" : latest.current.format(value))),
      },
    ],
    series: [
      {},
      ...latest.current.series.toReversed().map(({ name, colour: named }) => ({
        label: name,
        fill: colour(named),
        width: 0,
        paths: bars,
        points: { show: false },
      })),
    ],
    hooks: {
      setCursor: [(self) => latest.current.onPoint(self.cursor.idx ?? null)],
    },
  };
}
