// Package chart renders Helm charts in process, as `helm template` does, and fetches them.
//
// Inputs: the files of a chart (of a folder, or an archive) and a Release: what the chart is rendered with. Outputs: manifests with the
// template that each came from, in the order in which `helm template` prints them; and archives of charts from https and OCI
// repositories.
// Invariants: equal files and an equal Release give equal manifests: a chart whose output depends on chance or on the clock is an
// error that names the template, the line and the function. Templates and schemas reach neither network, environment nor files outside
// the chart, and lookup finds nothing. Errors never contain values whose names say that they are secret.
package chart
