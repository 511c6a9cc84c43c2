{{- $seen := dict -}}
{{- range $index, $given := .Values.extraObjects }}
{{- $text := tpl (kindIs "string" $given | ternary $given (include "vllm-deployment.yaml" $given)) $ }}
{{- /* fromYaml reads the first object of a text and says nothing of the others. */}}
{{- $objects := list }}
{{- range regexSplit "(?m)^(?:---|\\.\\.\\.)(?:\\s|$)" $text -1 }}
{{- if regexMatch "(?m)^\\s*[^#\\s]" . }}{{ $objects = append $objects . }}{{ end }}
{{- end }}
{{- range $objects | default (list "") }}
{{- $object := fromYaml . }}
{{- include "vllm-deployment.validateObject" (list $ $index $object) }}
{{- $name := printf "%s %s" $object.kind $object.metadata.name }}
{{- $group := contains "/" $object.apiVersion | ternary (splitList "/" $object.apiVersion | first) "" }}
{{- if hasKey $seen (printf "%s/%s" $group $name) }}
{{- fail (printf "extraObjects[%d]: %s stands there twice: give each object a name of its own" $index $name) }}
{{- end }}
{{- $_ := set $seen (printf "%s/%s" $group $name) true }}
{{- $labels := include "vllm-deployment.commonLabels" $ | fromYaml }}
{{- $_ := set $object.metadata "labels" (merge ($object.metadata.labels | default dict) $labels) }}
{{- $_ := set $object.metadata "namespace" $.Release.Namespace }}
---
{{ include "vllm-deployment.yaml" $object }}
{{- end }}
{{- end }}
