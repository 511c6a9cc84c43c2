{{/* What users add to the pod, and the security contexts. */}}

{{/* Security context of the pod: the Pod Security level "restricted", then the user's own keys. */}}
{{- define "vllm-deployment.podSecurity" -}}
{{- /* A weight cache has many files: change their group only when the volume's root is wrong. */ -}}
{{- $default := dict "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- include "vllm-deployment.over" (list $default .Values.podSecurityContext (dict "runAsNonRoot" true)) -}}
{{- end -}}

{{/* Security context of a container: its own over what the level "restricted" asks for. Capabilities may be added;
     all others are dropped. */}}
{{- define "vllm-deployment.containerSecurity" -}}
{{- /* The API server refuses this word beside a privileged one. */ -}}
{{- $default := ternary (dict) (dict "allowPrivilegeEscalation" false) (eq .privileged true) -}}
{{- $dropped := dict "drop" (list "ALL") -}}
{{- with .capabilities -}}{{- $dropped = merge (deepCopy .) $dropped -}}{{- end -}}
{{- include "vllm-deployment.over" (list $default . (dict "capabilities" $dropped)) -}}
{{- end -}}

{{/* Maps, each over those before it, key by key. (Sprig's merge takes false and 0 for nothing.) */}}
{{- define "vllm-deployment.over" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $key, $value := . -}}
{{- $_ := set $all $key $value -}}
{{- end -}}
{{- end -}}
{{- include "vllm-deployment.yaml" $all -}}
{{- end -}}

{{/* Containers of the user. */}}
{{- define "vllm-deployment.containers" -}}
{{- $all := list -}}
{{- range . -}}
{{- $security := include "vllm-deployment.containerSecurity" (.securityContext | default dict) | fromYaml -}}
{{- $all = append $all (set (deepCopy .) "securityContext" $security) -}}
{{- end -}}
{{- include "vllm-deployment.yaml" $all -}}
{{- end -}}

{{/* Name of a further claim: list of the root context and the claim. */}}
{{- define "vllm-deployment.claimName" -}}
{{- $claim := index . 1 -}}
{{- $claim.existingClaim | default (printf "%s-%s" (include "vllm-deployment.fullname" (index . 0)) $claim.name) -}}
{{- end -}}
