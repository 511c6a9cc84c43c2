{{- if .Values.alerts.enabled -}}
{{- $name := include "vllm-deployment.fullname" . -}}
{{- $alerts := .Values.alerts -}}
{{- $own := printf "namespace=%q,job=%q" .Release.Namespace $name -}}
{{- /* Prometheus may hold a bound as 5 or 5.0, depending on its version and on the client library. */ -}}
{{- $bound := $alerts.latency.boundSeconds | toString -}}
{{- $le := ternary (printf "le=%q" $bound) (printf "le=~\"%s(\\\\.0)?\"" $bound) (contains "." $bound) -}}
{{- $pod := printf "namespace=%q,container=\"vllm\",pod=~\"%s-[a-z0-9]+-[a-z0-9]+\"" .Release.Namespace $name -}}
# Annotations of alerts are templates of Prometheus: they name the release, never the model's original name.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {{ $name }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
    {{- include "vllm-deployment.map" (list $alerts.labels 4) }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
spec:
  groups:
    - name: {{ printf "%s.%s.vllm" .Release.Namespace $name }}
      rules:
        - alert: VLLMEndpointDown
          expr: absent(up{ {{- $own -}} } == 1)
          for: {{ $alerts.down.for }}
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "critical") | nindent 12 }}
          annotations:
            summary: No pod of {{ $name }} answers.
            description: >-
              Prometheus has scraped no pod of {{ $name }} for {{ $alerts.down.for }}. Look at the pods' state and events;
              a model that is still loading looks the same.
        # The share of requests within a bucket's bound is exact; a quantile between two buckets is a guess.
        - alert: VLLMLatencyHigh
          expr: >-
            sum(rate(vllm:e2e_request_latency_seconds_bucket{ {{- $own }},{{ $le }}}[10m]))
            / sum(rate(vllm:e2e_request_latency_seconds_count{ {{- $own -}} }[10m])) < {{ $alerts.latency.target }}
          for: {{ $alerts.latency.for }}
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "warning") | nindent 12 }}
          annotations:
            summary: Requests to {{ $name }} are slow.
            description: >-
              Only {{ "{{ $value | humanizePercentage }}" }} of requests ended within {{ $bound }} s; the aim is
              {{ mulf $alerts.latency.target 100.0 }} %.
        - alert: VLLMRequestErrors
          expr: >-
            sum(rate(vllm:request_success_total{ {{- $own }},finished_reason="error"}[5m]))
            / sum(rate(vllm:request_success_total{ {{- $own -}} }[5m])) > {{ $alerts.errors.ratio }}
          for: {{ $alerts.errors.for }}
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "critical") | nindent 12 }}
          annotations:
            summary: Requests to {{ $name }} end with errors.
            description: >-
              {{ "{{ $value | humanizePercentage }}" }} of requests ended with reason error. Requests refused before the
              engine are not counted here: see the router.
        - alert: VLLMKVCacheNearlyFull
          expr: max by (pod) (vllm:kv_cache_usage_perc{ {{- $own -}} }) > {{ $alerts.kvCache.ratio }}
          for: {{ $alerts.kvCache.for }}
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "warning") | nindent 12 }}
          annotations:
            summary: The KV cache of {{ "{{ $labels.pod }}" }} is nearly full.
            description: >-
              {{ "{{ $value | humanizePercentage }}" }} in use: requests will wait or be preempted. Add replicas, or
              lower the maximal model length.
        - alert: VLLMRequestsWaiting
          expr: sum(vllm:num_requests_waiting{ {{- $own -}} }) > {{ $alerts.queue.waiting }}
          for: {{ $alerts.queue.for }}
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "warning") | nindent 12 }}
          annotations:
            summary: Requests wait at {{ $name }}.
            description: >-
              {{ "{{ $value }}" }} requests wait for a place in the batch.
        # /health stays green when an engine hangs: running requests without an engine step are the sign.
        - alert: VLLMEngineHung
          expr: >-
            sum by (pod) (increase(vllm:iteration_tokens_total_count{ {{- $own -}} }[{{ $alerts.hung.for }}])) == 0
            and sum by (pod) (min_over_time(vllm:num_requests_running{ {{- $own -}} }[{{ $alerts.hung.for }}])) > 0
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "critical") | nindent 12 }}
          annotations:
            summary: The engine of {{ "{{ $labels.pod }}" }} hangs.
            description: >-
              Requests have run for {{ $alerts.hung.for }} without one engine step, though the pod looks healthy. Keep the log,
              then delete the pod.
        # The two below read kube-state-metrics.
        - alert: VLLMPodRestarting
          expr: increase(kube_pod_container_status_restarts_total{ {{- $pod -}} }[15m]) > 1
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "warning") | nindent 12 }}
          annotations:
            summary: Pod {{ "{{ $labels.pod }}" }} restarts again and again.
            description: >-
              More than one restart in 15 minutes, each with a whole model load. Read the log of the previous container.
        - alert: VLLMOutOfMemory
          expr: >-
            kube_pod_container_status_last_terminated_reason{ {{- $pod }},reason="OOMKilled"} == 1
            and on (namespace, pod, container) increase(kube_pod_container_status_restarts_total{ {{- $pod -}} }[15m]) > 0
          labels:
            {{- include "vllm-deployment.alertLabels" (list . "critical") | nindent 12 }}
          annotations:
            summary: Pod {{ "{{ $labels.pod }}" }} ran out of memory.
            description: >-
              The kernel killed the server at its memory limit. Shared memory counts against it, too.
{{- end }}

{{- /* Labels of one alert: list of root context and severity. */ -}}
{{- define "vllm-deployment.alertLabels" -}}
{{- $root := index . 0 -}}
{{- $labels := dict
      "severity" (index . 1)
      "service" (include "vllm-deployment.fullname" $root)
      "environment" $root.Values.environment
      "model" (include "vllm-deployment.slug" $root) -}}
{{- mergeOverwrite $labels $root.Values.alerts.alertLabels | include "vllm-deployment.yaml" }}
{{- end -}}
