{{- include "vllm-deployment.validate" . -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "vllm-deployment.fullname" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vllm-deployment.labels" . | nindent 4 }}
  annotations:
    {{- include "vllm-deployment.annotations" . | nindent 4 }}
    # How long a container may load; a waiter must be more patient than progressDeadlineSeconds, which is more.
    llmops.platform/startup-budget-seconds: {{ include "vllm-deployment.startupBudget" . | quote }}
    {{- include "vllm-deployment.map" (list .Values.annotations 4) }}
spec:
  {{- if not (kindIs "invalid" .Values.replicas) }}
  replicas: {{ int .Values.replicas }}
  {{- end }}
  revisionHistoryLimit: {{ int .Values.revisionHistoryLimit }}
  progressDeadlineSeconds: {{ include "vllm-deployment.progressDeadline" . }}
  strategy:
    {{- include "vllm-deployment.strategy" . | nindent 4 }}
  selector:
    matchLabels:
      {{- include "vllm-deployment.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "vllm-deployment.labels" . | nindent 8 }}
        {{- include "vllm-deployment.map" (list .Values.podLabels 8) }}
      annotations:
        {{- include "vllm-deployment.annotations" . | nindent 8 }}
        # Only the data: a new chart version must not make every model load again.
        llmops.platform/config-checksum: {{ include "vllm-deployment.configData" . | fromYaml | toJson | sha256sum }}
        {{- include "vllm-deployment.map" (list .Values.podAnnotations 8) }}
    spec:
      serviceAccountName: {{ include "vllm-deployment.serviceAccountName" . | quote }}
      automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
      # With links, a Service called "vllm" would set VLLM_PORT to a URL and stop the server.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ include "vllm-deployment.gracePeriod" . }}
      {{- with .Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . | quote }}
        {{- end }}
      {{- end }}
      {{- if .Values.hostNetwork }}
      hostNetwork: true
      # The node's own resolver knows no Service.
      dnsPolicy: ClusterFirstWithHostNet
      {{- end }}
      securityContext:
        {{- include "vllm-deployment.podSecurity" . | nindent 8 }}
      {{- with .Values.scheduling.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with .Values.scheduling.runtimeClassName }}
      runtimeClassName: {{ . | quote }}
      {{- end }}
      {{- with .Values.scheduling.schedulerName }}
      schedulerName: {{ . | quote }}
      {{- end }}
      {{- with .Values.scheduling.nodeSelector }}
      nodeSelector:
        {{- include "vllm-deployment.map" (list . 8) }}
      {{- end }}
      {{- with .Values.scheduling.tolerations }}
      tolerations:
        {{- include "vllm-deployment.yaml" . | nindent 8 }}
      {{- end }}
      {{- with .Values.scheduling.affinity }}
      affinity:
        {{- include "vllm-deployment.yaml" . | nindent 8 }}
      {{- end }}
      {{- with .Values.scheduling.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- $own := dict "labelSelector" (dict "matchLabels" (include "vllm-deployment.selectorLabels" $ | fromYaml)) }}
        {{- range . }}
        - {{- merge (deepCopy .) $own | include "vllm-deployment.yaml" | nindent 10 }}
        {{- end }}
      {{- end }}
      {{- with .Values.initContainers }}
      initContainers:
        {{- include "vllm-deployment.containers" . | nindent 8 }}
      {{- end }}
      containers:
        - name: vllm
          image: {{ include "vllm-deployment.image" . | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          command:
            {{- range .Values.command }}
            - {{ include "vllm-deployment.literal" . }}
            {{- end }}
          args:
            {{- include "vllm-deployment.args" . | nindent 12 }}
          envFrom:
            - configMapRef:
                name: {{ include "vllm-deployment.fullname" . }}
          {{- with include "vllm-deployment.env" . | trim }}
          env:
            {{- . | nindent 12 }}
          {{- end }}
          ports:
            - name: http
              containerPort: {{ int .Values.service.port }}
              protocol: TCP
          # The port is closed until the model is loaded: this probe alone decides how long that may take.
          startupProbe:
            httpGet:
              path: {{ .Values.probes.startup.path | quote }}
              port: http
            periodSeconds: {{ int .Values.probes.startup.periodSeconds }}
            timeoutSeconds: {{ int .Values.probes.startup.timeoutSeconds }}
            failureThreshold: {{ include "vllm-deployment.startupFailures" . }}
          {{- range $probe := list "liveness" "readiness" }}
          {{- with index $.Values.probes $probe }}
          {{ $probe }}Probe:
            httpGet:
              path: {{ .path | quote }}
              port: http
            initialDelaySeconds: {{ int .initialDelaySeconds }}
            periodSeconds: {{ int .periodSeconds }}
            timeoutSeconds: {{ int .timeoutSeconds }}
            failureThreshold: {{ int .failureThreshold }}
          {{- end }}
          {{- end }}
          {{- if gt (int .Values.drain.preStopSeconds) 0 }}
          lifecycle:
            preStop:
              sleep:
                seconds: {{ int .Values.drain.preStopSeconds }}
          {{- end }}
          resources:
            {{- include "vllm-deployment.resources" . | nindent 12 }}
          securityContext:
            {{- /* NVIDIA's container hook writes into the root file system while the container is created. */}}
            {{- $own := dict "readOnlyRootFilesystem" false }}
            {{- include "vllm-deployment.containerSecurity" (merge (.Values.securityContext | default dict | deepCopy) $own) | nindent 12 }}
          volumeMounts:
            - name: home
              mountPath: /home/vllm
            - name: cache
              mountPath: /home/vllm/.cache
            - name: tmp
              mountPath: /tmp
            - name: shm
              mountPath: /dev/shm
            {{- range .Values.persistence.extraClaims }}
            - {{ pick . "name" "mountPath" "subPath" "readOnly" | include "vllm-deployment.yaml" | nindent 14 | trim }}
            {{- end }}
            {{- with .Values.extraVolumeMounts }}
            {{- include "vllm-deployment.yaml" . | nindent 12 }}
            {{- end }}
        {{- with .Values.sidecars }}
        {{- include "vllm-deployment.containers" . | nindent 8 }}
        {{- end }}
      volumes:
        - name: home
          emptyDir: {}
        - name: tmp
          emptyDir: {}
        # Weights and compiled kernels.
        - name: cache
          {{- if .Values.persistence.enabled }}
          persistentVolumeClaim:
            claimName: {{ .Values.persistence.existingClaim | default (printf "%s-cache" (include "vllm-deployment.fullname" .)) | quote }}
          {{- else if .Values.cache.sizeLimit }}
          emptyDir:
            sizeLimit: {{ .Values.cache.sizeLimit | quote }}
          {{- else }}
          emptyDir: {}
          {{- end }}
        # Workers of a split model talk through shared memory; the runtime's 64 MiB are too little.
        - name: shm
          emptyDir:
            medium: Memory
            sizeLimit: {{ .Values.gpu.shmSize | default (include "vllm-deployment.sizeRow" . | fromYaml).shm | quote }}
        {{- range .Values.persistence.extraClaims }}
        - name: {{ .name | quote }}
          persistentVolumeClaim:
            claimName: {{ include "vllm-deployment.claimName" (list $ .) | quote }}
            {{- if .readOnly }}
            readOnly: true
            {{- end }}
        {{- end }}
        {{- with .Values.extraVolumes }}
        {{- include "vllm-deployment.yaml" . | nindent 8 }}
        {{- end }}
