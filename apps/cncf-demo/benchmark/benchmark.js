// Users that ask as fast as they get answers, and a report in Prometheus' text format to a Pushgateway.
//
//   TARGET, USERS, DURATION   what is asked, by how many, for how long
//   PUSHGATEWAY, INSTANCE     where the report goes, and its number: a later run of the same number replaces it
//   NODE                      where this ran; a label of the report
import http from 'k6/http';
import { check } from 'k6';
import exec from 'k6/execution';

const { TARGET, USERS, DURATION, PUSHGATEWAY, INSTANCE, NODE } = __ENV;

export const options = {
  vus: Number(USERS),
  duration: DURATION,
  // Numbers of a run in which much failed would say nothing.
  thresholds: { checks: ['rate>0.95'] },
  summaryTrendStats: ['p(50)', 'p(95)', 'p(99)'],
};

export default function () {
  check(http.get(TARGET), { 'is answered': (r) => r.status === 200 });
}

function report({ metrics, state }) {
  const labels = `node="${NODE}"`;
  const lines = [];
  const gauge = (name, help, ...samples) => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`);
    samples.forEach(([more, value]) => lines.push(`${name}{${labels}${more}} ${value}`));
  };
  const requests = metrics.http_reqs.values;
  const seconds = metrics.http_req_duration.values;
  gauge('benchmark_requests', 'Requests in the last run.', ['', requests.count]);
  gauge('benchmark_requests_per_second', 'Requests per second in the last run.', ['', requests.rate]);
  gauge('benchmark_failed_ratio', 'Share of requests without a good answer in the last run.', ['', 1 - metrics.checks.values.rate]);
  gauge('benchmark_users', 'Users at once in the last run.', ['', Number(USERS)]);
  gauge('benchmark_run_seconds', 'How long the last run took.', ['', state.testRunDurationMs / 1000]);
  gauge(
    'benchmark_answer_seconds',
    'Time to the whole answer in the last run, by quantile.',
    ...[['0.5', 'p(50)'], ['0.95', 'p(95)'], ['0.99', 'p(99)']].map(([q, stat]) => [`,quantile="${q}"`, seconds[stat] / 1000]),
  );
  return lines.join('\n') + '\n';
}

export function handleSummary(data) {
  const text = report(data);
  const answer = http.put(`${PUSHGATEWAY}/metrics/job/benchmark/instance/${INSTANCE}`, text, {
    headers: { 'Content-Type': 'text/plain; version=0.0.4' },
  });
  if (answer.status !== 200) {
    exec.test.abort(`the Pushgateway refused the report: ${answer.status} ${answer.error || answer.body}`);
  }
  return { stdout: text };
}
