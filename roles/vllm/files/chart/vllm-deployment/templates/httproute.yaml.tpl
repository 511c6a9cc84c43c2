{{- if .Values.httpRoute.enabled -}}
{{- $route := .Values.httpRoute -}}
{{- $timeouts := $route.timeouts | default dict -}}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- /* The collection's export to the Gateway API names its routes after the release. */}}
  name: {{ include "vllm-deployment.fullname" . }}-server
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
    {{- include "vllm-deployment.map" (list $route.annotations 4) }}
spec:
  parentRefs:
    {{- include "vllm-deployment.yaml" $route.parentRefs | nindent 4 }}
  hostnames:
    {{- include "vllm-deployment.yaml" $route.hostnames | nindent 4 }}
  rules:
    - matches:
        - path:
            type: PathPrefix
            value: {{ $route.path | quote }}
      {{- if or $timeouts.request $timeouts.backendRequest }}
      timeouts:
        {{- range $name := list "request" "backendRequest" }}
        {{- with index $timeouts $name }}
        {{ $name }}: {{ . | quote }}
        {{- end }}
        {{- end }}
      {{- end }}
      backendRefs:
        - name: {{ include "vllm-deployment.fullname" . }}
          port: {{ int .Values.service.port }}
{{- end }}
