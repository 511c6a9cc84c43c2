{{/* Names and labels. Everything that comes from a user is written with `quote`, whose escapes (\n, \u..., \U...)
     YAML reads back exactly: no model name can leave its string. */}}

{{/* Name of every object: the release name, `{slug}-{environment}`. It is also a Service name, hence DNS-1035. */}}
{{- define "vllm-deployment.fullname" -}}
{{- $name := .Release.Name -}}
{{- if gt (len $name) 53 -}}
{{- fail (printf "release name %q has %d characters: at most 53 are allowed" $name (len $name)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "release name %q is no DNS label: it names the Service, so use lower-case letters, digits and hyphens, and start with a letter" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Label value of the model. */}}
{{- define "vllm-deployment.slug" -}}
{{- .Values.slug | default (trimSuffix (printf "-%s" .Values.environment) (include "vllm-deployment.fullname" .)) -}}
{{- end -}}

{{/* Labels that select pods: never change them, the selector of a Deployment is immutable. */}}
{{- define "vllm-deployment.selectorLabels" -}}
app.kubernetes.io/name: vllm
app.kubernetes.io/instance: {{ include "vllm-deployment.fullname" . | quote }}
{{- end -}}

{{/* What every object tells, apart from its name: an object of another kind than the server has another one. */}}
{{- define "vllm-deployment.commonLabels" -}}
app.kubernetes.io/version: {{ include "vllm-deployment.versionLabel" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: llmops-platform
llmops.platform/environment: {{ .Values.environment | quote }}
llmops.platform/model: {{ include "vllm-deployment.slug" . | quote }}
{{- include "vllm-deployment.map" (list .Values.commonLabels 0) }}
{{- end -}}

{{/* Labels of the server's objects and pods. */}}
{{- define "vllm-deployment.labels" -}}
{{ include "vllm-deployment.selectorLabels" . }}
app.kubernetes.io/component: model-server
{{ include "vllm-deployment.commonLabels" . }}
{{- end -}}

{{/* The original model name, which no label can hold. */}}
{{- define "vllm-deployment.annotations" -}}
llmops.platform/model-name: {{ .Values.model.name | quote }}
{{- end -}}

{{/* A map of labels or annotations, each on a line of its own: list of the map and the indentation. */}}
{{- define "vllm-deployment.map" -}}
{{- range $key, $value := index . 0 -}}
{{- printf "%s: %s" (quote $key) (quote $value) | nindent (int (index $ 1)) -}}
{{- end -}}
{{- end -}}

{{/* Tag and digest as one image reference; a digest wins. */}}
{{- define "vllm-deployment.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository .Values.image.tag -}}
{{- end -}}
{{- end -}}

{{/* Version of the engine as X.Y.Z, or empty where it is unknown. */}}
{{- define "vllm-deployment.engineVersion" -}}
{{- if .Values.engineVersion -}}
{{- trimPrefix "v" .Values.engineVersion -}}
{{- else if .Values.image.tag -}}
{{- regexFind "^[0-9]+\\.[0-9]+\\.[0-9]+" (trimPrefix "v" .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Version label: the engine's version, else the tag, else the head of the digest. */}}
{{- define "vllm-deployment.versionLabel" -}}
{{- $version := include "vllm-deployment.engineVersion" . -}}
{{- if not $version -}}
{{- $version = .Values.image.tag | default (.Values.image.digest | default "" | replace ":" "-" | trunc 19) -}}
{{- end -}}
{{- regexReplaceAll "[^A-Za-z0-9]+$" (regexReplaceAll "^[^A-Za-z0-9]+" (trunc 63 $version) "") "" -}}
{{- end -}}

{{- define "vllm-deployment.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "vllm-deployment.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Data as YAML. For one character that YAML cannot hold, Helm's own function makes an empty text of the whole; of a
     next line (U+0085) it makes a space. */}}
{{- define "vllm-deployment.yaml" -}}
{{- $text := toYaml . -}}
{{- if or (not $text) (toJson . | contains "\u0085") -}}
{{- fail "a text holds a character that YAML cannot hold, such as DEL or one of U+0080 to U+009F: see the bytes of what you copied" -}}
{{- end -}}
{{- $text -}}
{{- end -}}
