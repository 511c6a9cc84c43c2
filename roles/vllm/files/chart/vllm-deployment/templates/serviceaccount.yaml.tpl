{{- if .Values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "vllm-deployment.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
    {{- include "vllm-deployment.map" (list .Values.serviceAccount.annotations 4) }}
automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
{{- end }}
