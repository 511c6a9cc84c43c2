{{- if .Values.serviceMonitor.enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "vllm-deployment.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
    {{- include "vllm-deployment.map" (list .Values.serviceMonitor.labels 4) }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "vllm-deployment.selectorLabels" . | nindent 6 }}
  namespaceSelector:
    matchNames:
      - {{ .Release.Namespace }}
  # Carried over from the Service, so that series of several environments stay apart.
  targetLabels:
    - llmops.platform/environment
    - llmops.platform/model
  endpoints:
    - port: http
      path: /metrics
      interval: {{ .Values.serviceMonitor.interval }}
      scrapeTimeout: {{ .Values.serviceMonitor.scrapeTimeout }}
{{- end }}
