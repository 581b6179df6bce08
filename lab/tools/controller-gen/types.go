// Package types names the API types that the CRDs are generated from, so that their version is pinned beside the generator's.
package types

import (
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"       // Prometheus, Alertmanager, monitors, rules
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1" // ScrapeConfig and others
)
