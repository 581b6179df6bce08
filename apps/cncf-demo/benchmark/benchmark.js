// Users that ask as fast as they get answers, and a report in Prometheus' text format to a Pushgateway.
//
//   TARGET, USERS, DURATION   what is asked, by how many, for how long
//   PUSHGATEWAY, INSTANCE     where the report goes, and its number: a later run of the same number replaces it
//   NODE                      where this ran; a label of the report
import http from 'k6/http';
import { check, fail } from 'k6';
import { Trend } from 'k6/metrics';

const { TARGET, USERS, DURATION, PUSHGATEWAY, INSTANCE, NODE } = __ENV;

const answers = new Trend('answers', true);

export const options = {
  vus: Number(USERS),
  duration: DURATION,
  // Numbers of a run in which much failed would say nothing.
  thresholds: { checks: ['rate>0.95'] },
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)'],
};

// Each gauge is [name, help, [labels, value]...].
function text(gauges) {
  const lines = gauges.flatMap(([name, help, ...samples]) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...samples.map(([labels, value]) => `${name}{node="${NODE}"${labels}} ${value}`),
  ]);
  return lines.join('\n') + '\n';
}

// PUT replaces everything that this instance reported before.
function push(report) {
  return http.put(`${PUSHGATEWAY}/metrics/job/benchmark/instance/${INSTANCE}`, report, {
    headers: { 'Content-Type': 'text/plain; version=0.0.4' },
  });
}

const refused = (answer) => `the Pushgateway does not take the report: ${answer.status} ${answer.error || answer.body}`;

// Nothing is measured that could not be reported. From here on the last run's report is gone.
export function setup() {
  const answer = push(text([['benchmark_users', 'Users at once.', ['', USERS]]]));
  if (answer.status !== 200) {
    fail(refused(answer));
  }
}

export default function () {
  const answer = http.get(TARGET);
  answers.add(answer.timings.duration);
  check(answer, { 'is answered': (r) => r.status === 200 });
}

export function handleSummary({ metrics, state }) {
  const runs = metrics.iterations.values;
  const quantile = (q, stat) => [`,quantile="${q}"`, metrics.answers.values[stat] / 1000];
  const report = text([
    ['benchmark_users', 'Users at once.', ['', USERS]],
    ['benchmark_run_seconds', 'How long the run took.', ['', state.testRunDurationMs / 1000]],
    ['benchmark_requests', 'Requests in the run.', ['', runs.count]],
    ['benchmark_requests_per_second', 'Requests per second in the run.', ['', runs.rate]],
    ['benchmark_failed_ratio', 'Share of requests without a good answer.', ['', 1 - metrics.checks.values.rate]],
    ['benchmark_answer_seconds', 'Time to the whole answer, by quantile.', quantile('0.5', 'p(50)'), quantile('0.95', 'p(95)'), quantile('0.99', 'p(99)')],
  ]);
  const answer = push(report);
  if (answer.status !== 200) {
    console.error(refused(answer));
  }
  return { stdout: report };
}
