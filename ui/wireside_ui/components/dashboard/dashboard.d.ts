/** Values of the figures by name; `t` has the times of all series, in milliseconds. */
type Series = { t: number[] } & Record<string, number[]>;

/** One of several servers; its gauges are missing if its version does not report them. */
interface DashboardServer {
  id: string;
  name: string;
  version: string;
  uptime_s: number;
  silent_s: number;
  is_own: boolean;
  streams?: number;
  raw?: number;
  pages?: number;
  memory_mb?: number | null;
  cpu_percent?: number | null;
  clock_ahead_s?: number | null;
  is_draining?: boolean;
}

interface DashboardFigures {
  problem?: string;
  series: Series;
  sums: Record<string, number>;
  models: [name: string, count: number][];
  errors: [code: string, count: number, example: string][];
  servers: DashboardServer[];
  since: number;
  until: number;
}

interface DashboardTick {
  now: Record<string, number | null>;
  servers: DashboardServer[];
  series?: Series;
  hour?: Partial<DashboardFigures>;
}

interface ChartKind {
  name: string;
  digits: number;
  series: string[];
  labels?: string[];
  unit?: string;
  least?: number;
  tone?: "danger";
}

interface ChartLook {
  text: string;
  line: string;
  surface: string;
  ink: string;
  font: string;
  danger: string;
  series: string[];
}

/** The dashboard's `this`. */
interface Dashboard
  extends VueInstance<Record<string, HTMLElement>>,
    DashboardMethods,
    DashboardChartMethods,
    DashboardFigureMethods,
    DashboardServerMethods {
  first: DashboardFigures;
  links: { href: string; text: string }[];
  logo: string;
  name: string;
  base: string;
  language: string;
  words: Words;

  now: Record<string, number | null> | null;
  problem: string;
  sums: Record<string, number>;
  models: DashboardFigures["models"];
  errors: DashboardFigures["errors"];
  servers: DashboardServer[];
  /** Length of the range; 0: a custom one. */
  seconds: number;
  chosen: number[] | null;
  typed: string[];
  isChoosing: boolean;
  isLoading: boolean;
  isStale: boolean;
  isEmpty: boolean;

  series: Series;
  charts: (ChartKind & { chart: import("nicegui-echart").Chart })[];
  /** The shown times in milliseconds. */
  span: number[];
  heardAt: number;
  look: MutationObserver;
  sizes: ResizeObserver;
  again: ReturnType<typeof setInterval>;
  silence: ReturnType<typeof setInterval>;
}

interface DashboardMethods {
  picker(): import("vue").VNode;
  toggle(): void;
  form(): import("vue").VNode;
  choose(event: SubmitEvent): void;
  ask(): void;
  tell(): void;
  take(data: DashboardFigures): void;
  onVisibility(): void;
}

type DashboardChartMethods = typeof import("./modules/charts.js").charts;
type DashboardFigureMethods = typeof import("./modules/figures.js").figures;
type DashboardServerMethods = typeof import("./modules/servers.js").servers;
