{{- $persistence := .Values.persistence -}}
{{- $claims := list -}}
{{- if and $persistence.enabled (not $persistence.existingClaim) -}}
{{- $claims = append $claims (dict "name" "cache") -}}
{{- end -}}
{{- range concat $claims ($persistence.extraClaims | default list) }}
{{- if not .existingClaim }}
---
{{- $modes := .accessModes | default $persistence.accessModes }}
{{- $storageClass := .storageClass | default $persistence.storageClass }}
{{- $retain := hasKey . "retain" | ternary .retain $persistence.retain }}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "vllm-deployment.claimName" (list $ .) }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" $ | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" $ | nindent 4 }}
    {{- if $retain }}
    helm.sh/resource-policy: keep
    # To Argo CD the line above says nothing about pruning. What it may not prune is no difference for it, either.
    argocd.argoproj.io/sync-options: Prune=false
    argocd.argoproj.io/compare-options: IgnoreExtraneous
    {{- end }}
spec:
  accessModes:
    {{- include "vllm-deployment.yaml" $modes | nindent 4 }}
  {{- with $storageClass }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ .size | default $persistence.size | quote }}
{{- end }}
{{- end }}
