{{/* What the server is told: configuration data, arguments, strategy, probes. */}}

{{/* True when the container downloads the model. */}}
{{- define "vllm-deployment.downloads" -}}
{{- if and (not .Values.model.offline) (not (hasPrefix "/" (include "vllm-deployment.source" .))) -}}true{{- end -}}
{{- end -}}

{{- define "vllm-deployment.source" -}}
{{- .Values.model.source | default .Values.model.name -}}
{{- end -}}

{{- define "vllm-deployment.servedName" -}}
{{- .Values.model.servedName | default .Values.model.name -}}
{{- end -}}

{{/* Data of the ConfigMap. Its checksum is in the pod template, so nothing may be here that need not restart the
     server: no chart version, no labels. */}}
{{- define "vllm-deployment.configData" -}}
MODEL_PATH: {{ include "vllm-deployment.source" . | quote }}
SERVER_HOST: {{ .Values.service.host | quote }}
SERVER_PORT: {{ .Values.service.port | int | quote }}
# A user without a password entry makes Python's user-name lookup fail unless these are set.
HOME: /home/vllm
USER: vllm
HF_HOME: /home/vllm/.cache/huggingface
VLLM_CACHE_ROOT: /home/vllm/.cache/vllm
# The server must not call home: the network policy would only make it wait.
VLLM_NO_USAGE_STATS: "1"
DO_NOT_TRACK: "1"
{{- if not (include "vllm-deployment.downloads" .) }}
HF_HUB_OFFLINE: "1"
{{- end }}
{{- end -}}

{{/* Kubernetes expands $(NAME) in arguments and reads $$ as $: doubling every $ makes a value literal. */}}
{{- define "vllm-deployment.literal" -}}
{{- . | toString | replace "$" "$$" | quote -}}
{{- end -}}

{{/* True when the engine is known to be at least the given version: list of root context and X.Y.Z. A flag that
     an older image does not know stops its start. */}}
{{- define "vllm-deployment.engineAtLeast" -}}
{{- $version := include "vllm-deployment.engineVersion" (index . 0) -}}
{{- if and $version (semverCompare (printf ">=%s-0" (index . 1)) $version) -}}true{{- end -}}
{{- end -}}

{{- define "vllm-deployment.args" -}}
- serve
- $(MODEL_PATH)
- --served-model-name
- {{ include "vllm-deployment.literal" (include "vllm-deployment.servedName" .) }}
{{- if ne (include "vllm-deployment.servedName" .) .Values.model.name }}
{{- /* Routers know the model by its full name, so the server has to answer to that too. */}}
- {{ include "vllm-deployment.literal" .Values.model.name }}
{{- end }}
- --host
- $(SERVER_HOST)
- --port
- $(SERVER_PORT)
{{- if gt (int .Values.gpu.count) 1 }}
- --tensor-parallel-size
- {{ int .Values.gpu.count | quote }}
{{- end }}
{{- with .Values.model.revision }}
- --revision
- {{ include "vllm-deployment.literal" . }}
- --tokenizer-revision
- {{ include "vllm-deployment.literal" . }}
{{- end }}
{{- with .Values.model.maxModelLen }}
- --max-model-len
- {{ if kindIs "string" . }}{{ . | quote }}{{ else }}{{ int64 . | quote }}{{ end }}
{{- end }}
{{- with .Values.model.dtype }}
- --dtype
- {{ . | quote }}
{{- end }}
{{- with .Values.model.quantization }}
- --quantization
- {{ . | quote }}
{{- end }}
{{- with .Values.model.gpuMemoryUtilization }}
- --gpu-memory-utilization
- {{ . | toString | quote }}
{{- end }}
{{- if include "vllm-deployment.engineAtLeast" (list . "0.16.0") }}
- --disable-access-log-for-endpoints
- /health,/metrics,/ping
{{- end }}
{{- if include "vllm-deployment.engineAtLeast" (list . "0.18.0") }}
- --shutdown-timeout
- {{ int .Values.drain.shutdownTimeoutSeconds | quote }}
{{- end }}
{{- range .Values.model.extraArgs }}
- {{ include "vllm-deployment.literal" . }}
{{- end }}
{{- end -}}

{{/* Secrets reach the server only by reference; a missing Secret keeps the container from starting, which says so. */}}
{{- define "vllm-deployment.env" -}}
{{- with .Values.secrets.hfToken }}
{{- if .existingSecret }}
- name: HF_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret | quote }}
      key: {{ .key | quote }}
{{- end }}
{{- end }}
{{ include "vllm-deployment.apiKeyEnv" . }}
{{- with .Values.model.extraEnv }}
{{ include "vllm-deployment.yaml" . }}
{{- end }}
{{- end -}}

{{- define "vllm-deployment.apiKeyEnv" -}}
{{- with .Values.secrets.apiKey }}
{{- if .existingSecret -}}
- name: VLLM_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret | quote }}
      key: {{ .key | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "vllm-deployment.strategy" -}}
{{- if eq .Values.strategy "recreate" -}}
type: Recreate
{{- else -}}
type: RollingUpdate
rollingUpdate:
  {{- if eq .Values.strategy "surge" }}
  maxSurge: 1
  maxUnavailable: 0
  {{- else }}
  maxSurge: 0
  maxUnavailable: 1
  {{- end }}
{{- end -}}
{{- end -}}
