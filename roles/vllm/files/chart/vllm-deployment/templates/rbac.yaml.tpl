{{- if .Values.rbac.create -}}
# vLLM calls no Kubernetes API: this exists only for what the user runs beside it, and grants only what is listed.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "vllm-deployment.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
rules:
  {{- include "vllm-deployment.yaml" .Values.rbac.rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "vllm-deployment.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ include "vllm-deployment.fullname" . }}
subjects:
  - kind: ServiceAccount
    name: {{ include "vllm-deployment.serviceAccountName" . | quote }}
    namespace: {{ .Release.Namespace }}
{{- end }}
