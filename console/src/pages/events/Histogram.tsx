import { useComputedColorScheme } from "@mantine/core";
import { useElementSize, useMergedRef } from "@mantine/hooks";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Histogram as Data } from "../../api/types";
import { compact, count, severityTone, type SeverityTone } from "../../lib/format";
import { stamp } from "../../lib/time";
import css from "./Histogram.module.css";

const HEIGHT = 84;
/** From the bottom of a bar to its top. */
const TONES: SeverityTone[] = ["info", "low", "medium", "high", "critical"];

/** Per tone, what is drawn: the sum of it and all below, so that the later covers the earlier. */
export function stacked(data: Data): number[][] {
  const sums = TONES.map(() => new Array<number>(data.buckets).fill(0));
  for (const bucket of data.counts) {
    const tone = TONES.indexOf(severityTone(bucket.severity_id));
    for (let above = tone; above < TONES.length; above += 1) {
      const row = sums[above];
      if (row?.[bucket.at] !== undefined) row[bucket.at]! += bucket.count;
    }
  }
  return sums;
}

interface Props {
  data: Data | undefined;
  onBrush: (from: number, to: number) => void;
}

export function Histogram({ data, onBrush }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const { ref: sized, width } = useElementSize<HTMLDivElement>();
  const both = useMergedRef(host, sized);
  const scheme = useComputedColorScheme("light");
  const plot = useRef<uPlot | null>(null);
  const brush = useRef(onBrush);
  brush.current = onBrush;
  const bucketWidth = useRef(1);
  bucketWidth.current = data?.width ?? 1;

  const series = useMemo<uPlot.AlignedData | null>(() => {
    if (!data) return null;
    const times = Array.from(
      { length: data.buckets },
      (_, at) => (data.from + (at + 0.5) * data.width) / 1000,
    );
    return [times, ...stacked(data).reverse()] as uPlot.AlignedData;
  }, [data]);
  const shown = useRef(series);
  shown.current = series;

  useEffect(() => {
    if (!host.current || width === 0 || !shown.current) return;
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const bars = uPlot.paths.bars?.({ size: [0.86, 40], gap: 0 });
    const axis: uPlot.Axis = {
      stroke: color("--w-dim"),
      font: '11px "Inter Variable", sans-serif',
      grid: { stroke: color("--w-line"), width: 1 },
      ticks: { show: false },
    };
    const chart = new uPlot(
      {
        width,
        height: HEIGHT,
        padding: [6, 8, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
        scales: {
          x: {
            range: (_self, min, max) => {
              const half = bucketWidth.current / 2000;
              return [min - half, max + half];
            },
          },
          y: { range: (_self, _min, max) => [0, Math.max(4, max * 1.08)] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 20,
            gap: 3,
            space: 90,
            values: (_self, splits, _axis, _space, step) =>
              splits.map((at) => label(at * 1000, step)),
          },
          {
            ...axis,
            size: 40,
            gap: 4,
            space: 26,
            values: (_self, splits) => splits.map((value) => compact(value)),
          },
        ],
        series: [
          {},
          ...[...TONES].reverse().map((tone) => ({
            fill: color(`--w-sev-${tone}`),
            stroke: color(`--w-sev-${tone}`),
            width: 0,
            points: { show: false },
            ...(bars ? { paths: bars } : {}),
          })),
        ],
        hooks: {
          setSelect: [
            (self) => {
              if (self.select.width < 4) return;
              const from = self.posToVal(self.select.left, "x") * 1000;
              const to = self.posToVal(self.select.left + self.select.width, "x") * 1000;
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              brush.current(Math.floor(from), Math.ceil(to));
            },
          ],
        },
      },
      shown.current,
      host.current,
    );
    plot.current = chart;
    return () => {
      plot.current = null;
      chart.destroy();
    };
  }, [width, scheme, series === null]);

  useEffect(() => {
    if (series) plot.current?.setData(series);
  }, [series]);

  const summary = data
    ? `${count(data.total)} events from ${stamp(data.from)} to ${stamp(data.from + data.buckets * data.width)}; drag to choose a time range`
    : "Events over time";
  return (
    <div
      ref={both}
      className={css.plot}
      role="img"
      aria-label={summary}
      title="Drag to choose a time range"
    />
  );
}

function label(ms: number, stepSeconds: number): string {
  const at = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  if (stepSeconds >= 86_400) return `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return stepSeconds < 60 ? `${minutes}:${two(at.getSeconds())}` : minutes;
}
