{{- define "muniment.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "muniment.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "muniment.labels" -}}
{{ include "muniment.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "muniment.image" -}}
{{- $repository := required "image.repository: name the registry that has the image" .Values.image.repository -}}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}{{ else }}{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "muniment.pod" -}}
automountServiceAccountToken: false
serviceAccountName: {{ include "muniment.name" . }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "muniment.container" -}}
image: {{ include "muniment.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "muniment.environment" -}}
{{- range . }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end }}
{{- end }}

{{- define "muniment.fileMounts" -}}
{{- range $i, $f := .Values.files }}
- {name: file-{{ $i }}, mountPath: {{ $f.path }}, subPath: file, readOnly: true}
{{- end }}
{{- end }}

{{- define "muniment.fileVolumes" -}}
{{- range $i, $f := .Values.files }}
- name: file-{{ $i }}
  {{- if $f.secret }}
  secret: {secretName: {{ $f.secret }}, defaultMode: 0440, items: [{key: {{ $f.key }}, path: file}]}
  {{- else }}
  configMap: {name: {{ $f.configMap }}, items: [{key: {{ $f.key }}, path: file}]}
  {{- end }}
{{- end }}
{{- end }}
