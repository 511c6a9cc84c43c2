apiVersion: v1
kind: Service
metadata:
  name: {{ include "vllm-deployment.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
    {{- include "vllm-deployment.map" (list .Values.service.labels 4) }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
    {{- include "vllm-deployment.map" (list .Values.service.annotations 4) }}
spec:
  type: ClusterIP
  selector:
    {{- include "vllm-deployment.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: {{ int .Values.service.port }}
      targetPort: http
      protocol: TCP
