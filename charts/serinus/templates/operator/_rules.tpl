{{- /*
What the operator may do in the namespaces whose loops it drives; services/operator/README.md says what for.
No secrets, no pods/exec, no wildcard. It cannot give a role more than it has (Kubernetes sees to that), so what jobs and
predictors may do is here too.
*/ -}}
{{- define "serinus.operatorRules" -}}
- apiGroups: [serinus.dev]
  resources: [modelloops]
  verbs: [get, list, watch, patch]
- apiGroups: [serinus.dev]
  resources: [modelloops/status]
  verbs: [patch]
# Whoever makes an object whose owner cannot go before it is asked for this.
- apiGroups: [serinus.dev]
  resources: [modelloops/finalizers]
  verbs: [update]
- apiGroups: [serinus.dev]
  resources: [looprequests]
  verbs: [get, list, watch, create, delete]
# Approvals are the audit trail: nobody of ours makes, changes or removes one.
- apiGroups: [serinus.dev]
  resources: [modelapprovals]
  verbs: [get, list, watch]
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# What is wrong with a version that does not come up.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# Whether a version's Service knows its pods: no share before that.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
# Which version a revision of Knative's is.
- apiGroups: [serving.knative.dev]
  resources: [revisions]
  verbs: [list]
# What predictors and jobs may do at the collector; subresources that exist for this alone.
- apiGroups: [serinus.dev]
  resources: [modelloops/predictions, modelloops/labels]
  verbs: [create]
- apiGroups: [serinus.dev]
  resources: [modelloops/records]
  verbs: [get]
# What it did goes into the audit trail, which the collector keeps.
- apiGroups: [serinus.dev]
  resources: [modelloops/audit]
  verbs: [create]
# The jobs, their accounts, the predictors', and what these may do.
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [list, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [list, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}
