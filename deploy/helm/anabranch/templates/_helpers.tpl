{{- define "anabranch.name" -}}
{{- if contains "anabranch" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-anabranch" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "anabranch.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "anabranch.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "anabranch.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* Labels that choose pods: (list root component) */}}
{{- define "anabranch.selector" -}}
app.kubernetes.io/name: anabranch
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "anabranch.labels" -}}
{{ include "anabranch.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{- define "anabranch.specsMap" -}}
{{- if .Values.specs.existingConfigMap }}{{ .Values.specs.existingConfigMap }}{{ else if .Values.specs.files }}{{ include "anabranch.name" . }}-specs{{ end }}
{{- end }}

{{/* The environment of every process, but for the specs and the state */}}
{{- define "anabranch.env" -}}
- name: ANABRANCH_BOOTSTRAP
  value: {{ required "kafka.bootstrap must be given: host:port of the brokers" .Values.kafka.bootstrap | quote }}
- name: ANABRANCH_PREFIX
  value: {{ .Values.kafka.prefix | quote }}
- name: ANABRANCH_LOG_FORMAT
  value: json
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "anabranch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "anabranch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/*
A Deployment: (dict "root" $ "name" "component" "args" list "port" int "resources" dict and, where
wanted, "replicas" "secret" "grace" "state")
*/}}
{{- define "anabranch.deployment" -}}
{{- $root := .root }}
{{- $specs := include "anabranch.specsMap" $root }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "anabranch.name" $root }}-{{ .name }}
  labels: {{- include "anabranch.labels" (list $root .name) | nindent 4 }}
spec:
  {{- with .replicas }}
  replicas: {{ . }}
  {{- end }}
  selector:
    matchLabels: {{- include "anabranch.selector" (list $root .name) | nindent 6 }}
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels: {{- include "anabranch.labels" (list $root .name) | nindent 8 }}
      annotations:
        {{- if $root.Values.specs.files }}
        checksum/specs: {{ $root.Values.specs.files | toJson | sha256sum }}
        {{- end }}
        {{- if .metrics }}
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ .port | quote }}
        {{- end }}
        {{- with $root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "anabranch.serviceAccount" $root }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .grace | default 30 }}
      securityContext: {{- include "anabranch.podSecurity" $root | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "anabranch.selector" (list $root $.name) | nindent 14 }}
        {{- end }}
      {{- with $root.Values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: anabranch
          image: {{ include "anabranch.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{- toYaml .args | nindent 12 }}
          env:
            {{- include "anabranch.env" $root | nindent 12 }}
            {{- if $specs }}
            - name: ANABRANCH_SPECS
              value: /specs
            {{- end }}
            {{- if .state }}
            - name: ANABRANCH_STATE_DIR
              value: /var/lib/anabranch
            {{- end }}
          {{- if or $root.Values.kafka.existingSecret .secret }}
          envFrom:
            {{- range compact (list $root.Values.kafka.existingSecret .secret) }}
            - secretRef: {name: {{ . }}}
            {{- end }}
          {{- end }}
          ports:
            - {name: http, containerPort: {{ .port }}}
          startupProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 15
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 5
          resources: {{- toYaml .resources | nindent 12 }}
          securityContext: {{- include "anabranch.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if $specs }}
            - {name: specs, mountPath: /specs, readOnly: true}
            {{- end }}
            {{- if .state }}
            - {name: state, mountPath: /var/lib/anabranch}
            {{- end }}
            {{- if $root.Values.kafka.tlsSecret }}
            - {name: tls, mountPath: /etc/anabranch/tls, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- if $specs }}
        - name: specs
          configMap: {name: {{ $specs }}}
        {{- end }}
        {{- if .state }}
        - name: state
          emptyDir: {sizeLimit: {{ $root.Values.worker.state.sizeLimit }}}
        {{- end }}
        {{- with $root.Values.kafka.tlsSecret }}
        - name: tls
          secret: {secretName: {{ . }}, defaultMode: 0440}
        {{- end }}
{{- end }}
