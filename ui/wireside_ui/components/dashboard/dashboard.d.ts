/** Values of the figures by name; `t` has the times of all series, in milliseconds. */
type Series = { t: number[] } & Record<string, number[]>;

interface DashboardFigures {
  problem?: string;
  series: Series;
  sums: Record<string, number>;
  models: [name: string, count: number][];
  errors: [code: string, count: number, example: string][];
  since: number;
  until: number;
}

interface DashboardTick {
  now: Record<string, number | null>;
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
    DashboardFigureMethods {
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
