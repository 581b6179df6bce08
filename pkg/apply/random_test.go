package apply

import (
	"encoding/base64"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// gadgets are kinds with every form of list and map that a structural schema can have, and one whose schema says nothing.
const gadgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.NS.example}
spec:
  group: NS.example
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
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
              share: {type: number}
              port: {x-kubernetes-int-or-string: true}
              note: {type: string, nullable: true}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              rows:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, mode: {type: string, default: rw}, args: {type: array, items: {type: string}}}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [port, protocol]
                items:
                  type: object
                  required: [port]
                  properties: {port: {type: integer}, protocol: {type: string, default: TCP}, name: {type: string}}
              steps:
                type: array
                x-kubernetes-list-type: atomic
                items: {type: object, properties: {name: {type: string}, mode: {type: string, default: rw}}}
              labels: {type: object, additionalProperties: {type: string}}
              whole: {type: object, x-kubernetes-map-type: atomic, additionalProperties: {type: string}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              nested:
                type: object
                default: {}
                properties: {depth: {type: integer, default: 1}, name: {type: string}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: blobs.NS.example}
spec:
  group: NS.example
  scope: Namespaced
  names: {plural: blobs, singular: blob, kind: Blob, listKind: BlobList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// dice draws random objects.
type dice struct{ *rand.Rand }

// half is true as often as not.
func (d dice) half() bool { return d.IntN(2) == 0 }

func (d dice) of(values ...any) any { return values[d.IntN(len(values))] }

func (d dice) word() string { return d.of("a", "b", "c").(string) }

// tree is some of the fields; each is drawn when it is there.
func (d dice) tree(fields map[string]func() any) gitops.Tree {
	out := gitops.Tree{}
	for _, name := range sortedKeys(fields) {
		if d.half() {
			out[name] = fields[name]()
		}
	}
	return out
}

// list is up to n items, of different names when key is given.
func (d dice) list(n int, key string, item func(name string) any) []any {
	out := []any{}
	for _, i := range d.Perm(3)[:d.IntN(n+1)] {
		name := string(rune('a' + i))
		v := item(name)
		if t, ok := v.(gitops.Tree); ok && key != "" {
			t[key] = name
		}
		out = append(out, v)
	}
	return out
}

func (d dice) words() any {
	return d.list(3, "", func(string) any { return d.word() })
}

func (d dice) texts() any {
	out := gitops.Tree{}
	for _, name := range []string{"a", "b", "c.d/e"} {
		if d.half() {
			out[name] = d.of("", "x", "y", "12", "true")
		}
	}
	return out
}

// quantity is one amount in one of its forms.
func (d dice) quantity() any {
	return d.of("0.5", "500m", int64(1), "1", "1000m", "1024Mi", "1Gi", "1e3", "2G", 0.5)
}

func (d dice) port(name string) gitops.Tree {
	port := gitops.Tree{"port": map[string]any{"a": int64(80), "b": int64(53), "c": int64(443)}[name]}
	if d.half() {
		port["protocol"] = d.of("TCP", "UDP")
	}
	return port
}

func (d dice) container(string) any {
	c := d.tree(map[string]func() any{
		"args": d.words,
		"env": func() any {
			return d.list(3, "name", func(string) any { return gitops.Tree{"value": d.of("", "1", "2")} })
		},
		"ports": func() any {
			return d.list(2, "", func(name string) any {
				p := d.port(name)
				p["containerPort"] = p["port"]
				delete(p, "port")
				if d.half() {
					p["name"] = "p-" + name
				}
				return p
			})
		},
		"resources": func() any {
			return d.tree(map[string]func() any{
				"requests": func() any {
					return gitops.Tree{"cpu": d.of("0.5", "500m", 0.5, "250m"), "memory": d.of("1024Mi", "1Gi", "0.5Gi")}
				},
				"limits": func() any {
					return gitops.Tree{"cpu": d.of("1000m", "1", int64(1), "2"), "memory": d.of("2G", "2Gi", "2048Mi")}
				},
			})
		},
		"imagePullPolicy": func() any { return d.of("Always", "IfNotPresent") },
		"securityContext": func() any { return gitops.Tree{"runAsUser": d.of(int64(0), int64(1000))} },
		"readinessProbe":  func() any { return gitops.Tree{"tcpSocket": gitops.Tree{"port": d.of(int64(80), "http")}} },
	})
	c["image"] = d.of("x:1", "x:2", "x")
	return c
}

func (d dice) template() gitops.Tree {
	containers := d.list(3, "name", d.container)
	if len(containers) == 0 {
		containers = []any{gitops.Tree{"name": "a", "image": "x:1"}}
	}
	spec := d.tree(map[string]func() any{
		"tolerations": func() any {
			return d.list(2, "", func(name string) any { return gitops.Tree{"key": name, "operator": d.of("Exists", "Exists")} })
		},
		"imagePullSecrets": func() any { return d.list(2, "name", func(string) any { return gitops.Tree{} }) },
		"nodeSelector":     d.texts,
		"hostAliases":      func() any { return []any{gitops.Tree{"ip": "10.0.0.1", "hostnames": d.words()}} },
		"volumes": func() any {
			return d.list(3, "name", func(string) any { return gitops.Tree{"emptyDir": gitops.Tree{}} })
		},
		"terminationGracePeriodSeconds": func() any { return d.of(int64(30), int64(5)) },
		"topologySpreadConstraints": func() any {
			return []any{gitops.Tree{"maxSkew": int64(1), "topologyKey": d.word(), "whenUnsatisfiable": d.of("ScheduleAnyway", "DoNotSchedule")}}
		},
	})
	spec["containers"] = containers
	return gitops.Tree{"metadata": gitops.Tree{"labels": gitops.Tree{"app": "x"}, "annotations": d.texts()}, "spec": spec}
}

// body draws the content of an object of a kind, beside its metadata.
func (d dice) body(kind string) gitops.Tree {
	text := func() any { return base64.StdEncoding.EncodeToString([]byte(d.word())) }
	selector := gitops.Tree{"matchLabels": gitops.Tree{"app": "x"}}
	switch kind {
	case "ConfigMap":
		return d.tree(map[string]func() any{"data": d.texts, "binaryData": func() any { return gitops.Tree{"bin": text()} }})
	case "Secret":
		return d.tree(map[string]func() any{"data": func() any { return gitops.Tree{"a": text()} }, "stringData": func() any { return gitops.Tree{d.word(): d.word()} }})
	case "ServiceAccount":
		return d.tree(map[string]func() any{
			"imagePullSecrets":             func() any { return d.list(2, "name", func(string) any { return gitops.Tree{} }) },
			"automountServiceAccountToken": func() any { return d.half() },
		})
	case "Service":
		spec := d.tree(map[string]func() any{
			"selector": d.texts, "sessionAffinity": func() any { return d.of("None", "ClientIP") }, "externalIPs": func() any { return []any{d.of("1.2.3.4", "1.2.3.5")} },
			"type": func() any { return d.of("ClusterIP", "NodePort") },
		})
		spec["ports"] = append(d.list(2, "", func(name string) any {
			p := d.port(name)
			p["name"] = name
			return p
		}), gitops.Tree{"name": "last", "port": int64(9000), "targetPort": d.of(int64(9000), "http")})
		return gitops.Tree{"spec": spec}
	case "Deployment":
		spec := d.tree(map[string]func() any{
			"replicas": func() any { return d.of(int64(0), int64(1), int64(3)) }, "revisionHistoryLimit": func() any { return int64(10) }, "paused": func() any { return d.half() },
			"strategy": func() any {
				return gitops.Tree{"type": "RollingUpdate", "rollingUpdate": gitops.Tree{"maxSurge": d.of("25%", int64(1))}}
			},
		})
		spec["selector"], spec["template"] = selector, d.template()
		return gitops.Tree{"spec": spec}
	case "StatefulSet":
		spec := d.tree(map[string]func() any{"replicas": func() any { return d.of(int64(0), int64(2)) }, "podManagementPolicy": func() any { return "OrderedReady" }})
		spec["selector"], spec["template"], spec["serviceName"] = selector, d.template(), "x"
		spec["volumeClaimTemplates"] = []any{gitops.Tree{"metadata": gitops.Tree{"name": "data"}, "spec": gitops.Tree{
			"accessModes": []any{"ReadWriteOnce"}, "resources": gitops.Tree{"requests": gitops.Tree{"storage": "1Gi"}},
		}}}
		return gitops.Tree{"spec": spec}
	case "CronJob":
		template := d.template()
		gitops.TreeAt(template, "spec")["restartPolicy"] = "Never"
		return gitops.Tree{"spec": gitops.Tree{"schedule": d.of("0 3 * * *", "@daily"), "suspend": true, "jobTemplate": gitops.Tree{"spec": gitops.Tree{"template": template}}}}
	}
	return d.other(kind)
}

func (d dice) other(kind string) gitops.Tree {
	switch kind {
	case "HorizontalPodAutoscaler":
		metric := func(name string) any {
			return gitops.Tree{"type": "Resource", "resource": gitops.Tree{"name": map[string]string{"a": "cpu", "b": "memory", "c": "cpu"}[name], "target": gitops.Tree{"type": "Utilization", "averageUtilization": d.of(int64(50), int64(80))}}}
		}
		spec := d.tree(map[string]func() any{
			"minReplicas": func() any { return d.of(int64(1), int64(2)) }, "metrics": func() any { return d.list(2, "", metric) },
			"behavior": func() any { return gitops.Tree{"scaleDown": gitops.Tree{"stabilizationWindowSeconds": int64(60)}} },
		})
		spec["maxReplicas"], spec["scaleTargetRef"] = int64(5), gitops.Tree{"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}
		return gitops.Tree{"spec": spec}
	case "Ingress":
		path := func(name string) any {
			return gitops.Tree{"path": "/" + name, "pathType": d.of("Prefix", "Exact"), "backend": gitops.Tree{"service": gitops.Tree{"name": d.word(), "port": d.of(gitops.Tree{"number": int64(80)}, gitops.Tree{"name": "http"})}}}
		}
		return gitops.Tree{"spec": gitops.Tree{"rules": []any{gitops.Tree{"host": "x.example", "http": gitops.Tree{"paths": append(d.list(2, "", path), path("last"))}}}}}
	case "NetworkPolicy":
		return gitops.Tree{"spec": gitops.Tree{"podSelector": gitops.Tree{}, "ingress": d.list(2, "", func(name string) any { return gitops.Tree{"ports": []any{d.port(name)}} })}}
	case "Role":
		return gitops.Tree{"rules": d.list(3, "", func(string) any {
			return gitops.Tree{"apiGroups": []any{""}, "resources": []any{d.of("pods", "services")}, "verbs": []any{"get", d.of("list", "watch")}}
		})}
	case "ResourceQuota":
		return gitops.Tree{"spec": gitops.Tree{"hard": d.tree(map[string]func() any{"requests.cpu": d.quantity, "requests.storage": d.quantity, "count/widgets.x": d.quantity})}}
	case "PodDisruptionBudget":
		return gitops.Tree{"spec": gitops.Tree{"maxUnavailable": d.of(int64(1), "30%"), "selector": gitops.Tree{"matchLabels": d.texts()}}}
	case "Gadget":
		return gitops.Tree{"spec": d.gadget()}
	case "Blob":
		out := d.tree(map[string]func() any{"data": d.texts, "list": d.words, "number": func() any { return d.of(int64(1), 1.5, int64(2)) }})
		if d.half() {
			out["spec"] = d.gadget()
		}
		return out
	}
	panic("no such kind: " + kind)
}

func (d dice) gadget() gitops.Tree {
	row := func(string) any {
		return d.tree(map[string]func() any{"mode": func() any { return d.of("rw", "ro") }, "args": d.words})
	}
	return d.tree(map[string]func() any{
		"size": func() any { return d.of("small", "large") }, "count": func() any { return d.of(int64(0), int64(7)) }, "share": func() any { return d.of(int64(1), 0.25, 1e3) },
		"port": func() any { return d.of(int64(80), "80", "http") }, "note": func() any { return d.of("", "n") },
		"tags": func() any { return d.list(3, "", func(name string) any { return name }) },
		"rows": func() any { return d.list(3, "name", row) }, "steps": func() any { return d.list(3, "name", row0(d)) },
		"ports":  func() any { return d.list(3, "", func(name string) any { return d.port(name) }) },
		"labels": d.texts, "whole": d.texts,
		"free": func() any {
			return gitops.Tree{d.word(): d.of(int64(1), "x", gitops.Tree{"in": d.word()}, []any{int64(1), "y"})}
		},
		"nested": func() any {
			return d.tree(map[string]func() any{"depth": func() any { return d.of(int64(1), int64(2)) }, "name": func() any { return d.word() }})
		},
	})
}

func row0(d dice) func(string) any {
	return func(string) any { return d.tree(map[string]func() any{"mode": func() any { return d.of("rw", "ro") }}) }
}

// some is a part of a tree, for those who write only a few fields.
func (d dice) some(t gitops.Tree) gitops.Tree {
	out := gitops.Tree{}
	for _, name := range sortedKeys(t) {
		switch v := t[name].(type) {
		case gitops.Tree:
			if rest := d.some(v); d.half() || len(rest) > 0 {
				out[name] = rest
			}
		default:
			if d.half() {
				out[name] = v
			}
		}
	}
	return out
}

// object draws an object of a kind.
func (d dice) object(l *lab, kind, name string) gitops.Tree {
	out := d.body(kind)
	out["apiVersion"], out["kind"] = randomKinds(l)[kind], kind
	meta := d.tree(map[string]func() any{"labels": d.texts, "annotations": d.texts})
	meta["name"], meta["namespace"] = name, l.id
	out["metadata"] = meta
	return out
}

func randomKinds(l *lab) map[string]string {
	return map[string]string{
		"ConfigMap": "v1", "Secret": "v1", "Service": "v1", "ServiceAccount": "v1", "ResourceQuota": "v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1",
		"CronJob": "batch/v1", "HorizontalPodAutoscaler": "autoscaling/v2", "Ingress": "networking.k8s.io/v1", "NetworkPolicy": "networking.k8s.io/v1",
		"Role": "rbac.authorization.k8s.io/v1", "PodDisruptionBudget": "policy/v1", "Gadget": l.id + ".example/v1", "Blob": l.id + ".example/v1",
	}
}

// overlaid is a with b's fields over it; lists are replaced.
func overlaid(a, b gitops.Tree) gitops.Tree {
	out := gitops.Clone(a)
	for name, v := range b {
		mine, ok := out[name].(gitops.Tree)
		theirs, ok2 := v.(gitops.Tree)
		if ok && ok2 {
			out[name] = overlaid(mine, theirs)
		} else {
			out[name] = v
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
