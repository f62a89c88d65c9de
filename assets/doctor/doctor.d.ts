/** What the doctor's probe measures; `backend/wireside/diagnosis/measured.py` describes the fields. */
interface Measured {
  prober: "browser";
  asked: string;
  origin: string;
  http: string;
  ready?: Reply;
  memory_mb?: number;
  upgrades?: Upgrade[];
  seen?: unknown;
  socket_seen?: unknown;
  post?: Reply;
  large?: Reply;
  stream?: Streamed;
  socket_stream?: Streamed;
  skew_s?: number;
  trips_ms?: number[];
  answer?: { times_ms: number[]; code?: string; message?: string };
  silence?: { asked_s: number; lasted_s: number; is_cut: boolean; code: number | null };
}

interface Reply {
  status: number;
  is_ours?: boolean;
  message?: string;
  server?: string;
  via?: string;
}

interface Upgrade {
  path: string;
  is_open: boolean;
  reply: Reply;
  extensions?: string;
  closed_after_ms?: number;
}

interface Streamed {
  sent_ms: number[];
  came_ms: number[];
  reply: Reply;
  encoding: string;
}

type FindingState = "ok" | "warning" | "failed" | "skipped";

/** A finding of the server, as in `backend/wireside/diagnosis/judge.py`. */
interface Finding {
  check: string;
  state: FindingState;
  seen: string;
  hop: string;
  remedy: string;
  lines: Record<string, string>;
}

/** The server's time with that of its arrival. */
interface Told {
  now: number;
  when: number;
}
