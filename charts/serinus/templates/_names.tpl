{{- /* Names and labels, in one place. */ -}}
{{- define "serinus.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "serinus.fullname" -}}
{{- $name := include "serinus.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "serinus.selector" -}}
app.kubernetes.io/name: {{ include "serinus.name" .top }}
app.kubernetes.io/instance: {{ .top.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "serinus.labels" -}}
{{ include "serinus.selector" . }}
app.kubernetes.io/version: {{ .top.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: serinus
app.kubernetes.io/managed-by: {{ .top.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .top.Chart.Name .top.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .top.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "serinus.image" -}}
{{- $image := index .top.Values.images .name -}}
{{- with .top.Values.images.registry -}}{{ trimSuffix "/" . }}/{{- end -}}
{{ $image.repository }}:{{ coalesce $image.tag .top.Values.images.tag .top.Chart.AppVersion }}
{{- end -}}

{{- define "serinus.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (printf "%s-operator" (include "serinus.fullname" .)) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false: expected the name of an account in serviceAccount.name" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "serinus.mlflowUrl" -}}
{{- default (printf "http://%s-mlflow.%s:5000" (include "serinus.fullname" .) .Release.Namespace) .Values.mlflow.url -}}
{{- end -}}

{{- define "serinus.mlflowClaim" -}}
{{- default (printf "%s-mlflow" (include "serinus.fullname" .)) .Values.mlflow.bundled.persistence.existingClaim -}}
{{- end -}}

{{- /* Empty where there is none. */ -}}
{{- define "serinus.collectorUrl" -}}
{{- if .Values.collector.enabled -}}
{{- printf "http://%s-collector.%s:8085" (include "serinus.fullname" .) .Release.Namespace -}}
{{- else -}}
{{- .Values.collector.url -}}
{{- end -}}
{{- end -}}

{{- define "serinus.hashKeySecret" -}}
{{- default (printf "%s-collector-hash-key" (include "serinus.fullname" .)) .Values.collector.hashKeySecret.name -}}
{{- end -}}

{{- /* What PodSecurity "restricted" asks of a pod and of a container. */ -}}
{{- define "serinus.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "serinus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* KServe makes the pod: what it would not say for the pod is said for the container. */ -}}
{{- define "serinus.kserveSecurity" -}}
{{ include "serinus.containerSecurity" . }}
runAsUser: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* Prometheus' annotations; PodMonitors take their place. */ -}}
{{- define "serinus.scrape" -}}
{{- if not .top.Values.monitoring.podMonitors.enabled }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end -}}

{{- /* The variables of services/platform.py; a test reads them back with it. */ -}}
{{- define "serinus.platform" -}}
- {name: SERINUS_MLFLOW_URL, value: {{ include "serinus.mlflowUrl" . | quote }}}
- {name: SERINUS_PROMETHEUS_URL, value: {{ .Values.prometheus.url | quote }}}
- {name: SERINUS_KFP_URL, value: {{ .Values.kfp.url | quote }}}
- {name: SERINUS_KFP_NAMESPACE, value: {{ .Values.kfp.namespace | quote }}}
{{- if .Values.kfp.multiUser }}
- {name: SERINUS_KFP_TOKEN_PATH, value: /var/run/secrets/kubeflow/pipelines/token}
{{- end }}
{{- with include "serinus.collectorUrl" . }}
- {name: SERINUS_COLLECTOR_URL, value: {{ . | quote }}}
- {name: SERINUS_COLLECTOR_TOKEN_PATH, value: /var/run/secrets/serinus/collector/token}
{{- end }}
- {name: SERINUS_SERVING_MODE, value: {{ .Values.serving.mode }}}
- {name: SERINUS_GATEWAY, value: {{ .Values.serving.gateway | quote }}}
- {name: SERINUS_DOMAIN, value: {{ .Values.serving.domain | quote }}}
- {name: SERINUS_SCRAPE_INTERVAL, value: {{ .Values.prometheus.scrapeInterval | quote }}}
- {name: SERINUS_PIPELINE_IMAGE, value: {{ include "serinus.image" (dict "top" . "name" "pipeline") | quote }}}
- {name: SERINUS_PREDICTOR_IMAGE, value: {{ include "serinus.image" (dict "top" . "name" "predictor") | quote }}}
- {name: SERINUS_CONTROL_IMAGE, value: {{ include "serinus.image" (dict "top" . "name" "control") | quote }}}
- {name: SERINUS_IMAGE_PULL_POLICY, value: {{ .Values.images.pullPolicy }}}
- {name: SERINUS_WATCH_NAMESPACE, value: {{ .Values.watchNamespace | quote }}}
- name: SERINUS_POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- end -}}

{{- /* The tokens that these variables tell of: each is for one audience, and of no use elsewhere. */ -}}
{{- define "serinus.tokenMounts" -}}
{{- if .Values.kfp.multiUser }}
- {name: kfp-token, mountPath: /var/run/secrets/kubeflow/pipelines, readOnly: true}
{{- end }}
{{- if include "serinus.collectorUrl" . }}
- {name: collector-token, mountPath: /var/run/secrets/serinus/collector, readOnly: true}
{{- end }}
{{- end -}}

{{- define "serinus.tokenVolumes" -}}
{{- if .Values.kfp.multiUser }}
- name: kfp-token
  projected:
    sources:
      - serviceAccountToken: {audience: pipelines.kubeflow.org, path: token, expirationSeconds: 7200}
{{- end }}
{{- if include "serinus.collectorUrl" . }}
- name: collector-token
  projected:
    sources:
      - serviceAccountToken: {audience: serinus-collector, path: token, expirationSeconds: 3600}
{{- end }}
{{- end -}}

{{- define "serinus.mlflowDatabase" -}}
{{- with .Values.mlflow.bundled.databaseUrlSecret -}}
- name: DATABASE_URL
{{- if .name }}
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- else }}
  value: sqlite:////data/mlflow.db
{{- end }}
{{- end }}
{{- end -}}
