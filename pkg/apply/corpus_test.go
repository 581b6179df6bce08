package apply

import (
	"testing"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

const corpus = `
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: bare, namespace: NS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: flags, namespace: NS, creationTimestamp: null}
data: {beta: "on"}
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: NS}
stringData: {password: hunter2-hunter2}
data: {user: YWRtaW4=}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: dns, port: 53, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: node, namespace: NS}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web:1
        ports: [{containerPort: 8080, name: http}]
        env: [{name: A, value: "1"}, {name: B, valueFrom: {configMapKeyRef: {name: flags, key: beta}}}]
        resources: {requests: {cpu: 0.5, memory: 1024Mi}, limits: {cpu: "1000m", memory: 2G}}
        readinessProbe: {httpGet: {path: /, port: http}}
      volumes: [{name: x, emptyDir: {}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: NS}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}, creationTimestamp: null}
    spec:
      containers: [{name: db, image: "db:1"}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: NS}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      nodeSelector: {for: NS} # or it would run on the nodes of other tests
      tolerations: [{operator: Exists}]
      containers: [{name: agent, image: "agent:1", securityContext: {runAsUser: 0}}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: NS}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 5
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tidy, namespace: NS}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: tidy, image: "tidy:1"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, namespace: NS}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "migrate:1"}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NS}
spec:
  rules: [{host: x.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: NS}
spec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: NS}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: bare, namespace: NS}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: agg-NS}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {aggregate-NS: "true"}}]}
rules: []
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: NS}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook-NS}
webhooks:
- name: hook.NS.example
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {service: {name: web, namespace: NS}}
  rules: [{apiGroups: [hook.example], apiVersions: [v1], operations: [CREATE], resources: [things]}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.NS.example, creationTimestamp: null}
spec:
  group: NS.example
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: string, default: small}
              count: {type: integer}
              items: {type: array, items: {type: object, properties: {name: {type: string}, mode: {type: string, default: rw}}}}
status: {acceptedNames: {kind: "", plural: ""}, conditions: [], storedVersions: []}
---
apiVersion: NS.example/v1
kind: Widget
metadata: {name: one, namespace: NS}
spec: {count: 3, items: [{name: a}, {name: b, mode: ro}]}
`

func TestSecondDiffOfCorpusIsEmpty(t *testing.T) {
	for _, watch := range []bool{false, true} {
		t.Run(map[bool]string{false: "list", true: "watch"}[watch], func(t *testing.T) {
			l := newLab(t, func(o *Options) { o.Watch = watch })
			d := desired(l.items("addons/corpus", corpus)...)
			first := l.apply(d)
			if len(first.Changes) != len(d.Items) {
				t.Errorf("the first plan has %d changes for %d items", len(first.Changes), len(d.Items))
			}
			for _, c := range first.Changes {
				if c.Action != plan.Create {
					t.Errorf("%s is planned as %s", c.Ref.Label(), c.Action)
				}
			}
			l.empty(d)
			l.empty(d)
		})
	}
}
