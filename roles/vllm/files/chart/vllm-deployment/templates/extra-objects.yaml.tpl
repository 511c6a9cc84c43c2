{{- $seen := dict -}}
{{- range $index, $given := .Values.extraObjects }}
{{- $object := tpl (kindIs "string" $given | ternary $given (toYaml $given)) $ | fromYaml }}
{{- include "vllm-deployment.validateObject" (list $ $index $object) }}
{{- $name := printf "%s %s" $object.kind $object.metadata.name }}
{{- if hasKey $seen $name }}
{{- fail (printf "extraObjects[%d]: %s stands there twice: give each object a name of its own" $index $name) }}
{{- end }}
{{- $_ := set $seen $name true }}
{{- $labels := include "vllm-deployment.commonLabels" $ | fromYaml }}
{{- $_ := set $object.metadata "labels" (merge ($object.metadata.labels | default dict) $labels) }}
{{- $_ := set $object.metadata "namespace" $.Release.Namespace }}
---
{{ toYaml $object }}
{{- end }}
