{{- /* With one replica a budget either blocks every node drain or protects nothing. */ -}}
{{- if and .Values.podDisruptionBudget.enabled (or (kindIs "invalid" .Values.replicas) (gt (int .Values.replicas) 1)) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "vllm-deployment.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that does not serve must not hold a node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "vllm-deployment.selectorLabels" . | nindent 6 }}
{{- end }}
