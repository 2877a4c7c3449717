-- Has wrk print what it measured as JSON, for http_process.py (wrk's SCRIPTING page, `done`).
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "wall_s": %.6f, "errors": %d, "latency_us": {"p50": %d, "p99": %d}}\n',
    summary.requests,
    summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50),
    latency:percentile(99)
  ))
end
