// Copyright (c) 2026, llmops.platform contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// monitor is a ServiceMonitor or a PodMonitor as far as the lab follows it. Whoever uses a field that is not here
// is told so and scraped not at all, rather than in another way than the prometheus-operator would.
type monitor struct {
	JobLabel            string               `json:"jobLabel"`
	TargetLabels        []string             `json:"targetLabels"`
	PodTargetLabels     []string             `json:"podTargetLabels"`
	Selector            metav1.LabelSelector `json:"selector"`
	NamespaceSelector   namespaceSelector    `json:"namespaceSelector"`
	Endpoints           []endpoint           `json:"endpoints"`
	PodMetricsEndpoints []endpoint           `json:"podMetricsEndpoints"`
	SampleLimit         uint64               `json:"sampleLimit"`
}

type namespaceSelector struct {
	Any        bool     `json:"any"`
	MatchNames []string `json:"matchNames"`
}

type endpoint struct {
	Port              string              `json:"port"`
	PortNumber        int                 `json:"portNumber"`
	TargetPort        *intstr.IntOrString `json:"targetPort"`
	Path              string              `json:"path"`
	Scheme            string              `json:"scheme"`
	Params            map[string][]string `json:"params"`
	Interval          string              `json:"interval"`
	ScrapeTimeout     string              `json:"scrapeTimeout"`
	HonorLabels       bool                `json:"honorLabels"`
	HonorTimestamps   *bool               `json:"honorTimestamps"`
	FollowRedirects   *bool               `json:"followRedirects"`
	FilterRunning     *bool               `json:"filterRunning"`
	Relabelings       []relabeling        `json:"relabelings"`
	MetricRelabelings []relabeling        `json:"metricRelabelings"`
}

type relabeling struct {
	SourceLabels []string `json:"sourceLabels"`
	Separator    *string  `json:"separator"`
	TargetLabel  string   `json:"targetLabel"`
	Regex        string   `json:"regex"`
	Modulus      uint64   `json:"modulus"`
	Replacement  *string  `json:"replacement"`
	Action       string   `json:"action"`
}

// rule is an entry of relabel_configs; a job an entry of scrape_configs.
type (
	rule map[string]any
	job  map[string]any
)

var notInLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// serviceJobs and podJobs follow generateServiceMonitorConfig and generatePodMonitorConfig of prometheus-operator
// 0.85 (pkg/prometheus/promcfg.go), rule by rule and in their order.
func serviceJobs(id string, spec []byte, folder string) ([]job, error) {
	wanted, err := parse(spec)
	if err != nil {
		return nil, err
	}
	namespace, _, _ := strings.Cut(id, "/")
	jobs := []job{}
	for index, end := range wanted.Endpoints {
		rules := []rule{{"source_labels": []string{"job"}, "target_label": "__tmp_prometheus_job_name"}}
		rules = append(rules, selected("service", wanted.Selector)...)
		port, name := "", end.Port
		switch {
		case end.Port != "":
			rules = append(rules, keep(end.Port, "__meta_kubernetes_endpointslice_port_name"))
		case end.TargetPort != nil:
			port = end.TargetPort.String()
			name = port
			label := "__meta_kubernetes_pod_container_port_number"
			if end.TargetPort.Type == intstr.String {
				label = "__meta_kubernetes_pod_container_port_name"
			}
			rules = append(rules, keep(port, label))
		}
		for _, kind := range []string{"Node", "Pod"} {
			rules = append(rules, rule{
				"source_labels": []string{
					"__meta_kubernetes_endpointslice_address_target_kind",
					"__meta_kubernetes_endpointslice_address_target_name",
				},
				"separator":    ";",
				"regex":        kind + ";(.*)",
				"replacement":  "${1}",
				"target_label": strings.ToLower(kind),
			})
		}
		rules = append(
			rules,
			named("namespace", "__meta_kubernetes_namespace"),
			named("service", "__meta_kubernetes_service_name"),
			named("pod", "__meta_kubernetes_pod_name"),
			named("container", "__meta_kubernetes_pod_container_name"),
		)
		rules = append(rules, running(end)...)
		rules = append(rules, carried("service", wanted.TargetLabels)...)
		rules = append(rules, carried("pod", wanted.PodTargetLabels)...)
		rules = append(rules, rule{
			"source_labels": []string{"__meta_kubernetes_service_name"},
			"target_label":  "job",
			"replacement":   "${1}",
		})
		rules = append(rules, labelled("service", wanted.JobLabel, "job")...)
		rules = append(rules, fixed("endpoint", name)...)
		made := end.job(fmt.Sprintf("serviceMonitor/%s/%d", id, index), rules, wanted)
		jobs = append(jobs, made.reading(folder, "endpointslice", wanted.NamespaceSelector, namespace))
	}
	return jobs, nil
}

func podJobs(id string, spec []byte, folder string) ([]job, error) {
	wanted, err := parse(spec)
	if err != nil {
		return nil, err
	}
	if len(wanted.TargetLabels) > 0 {
		return nil, errors.New("a PodMonitor has no targetLabels")
	}
	namespace, _, _ := strings.Cut(id, "/")
	jobs := []job{}
	for index, end := range wanted.PodMetricsEndpoints {
		rules := []rule{{"source_labels": []string{"job"}, "target_label": "__tmp_prometheus_job_name"}}
		rules = append(rules, running(end)...)
		rules = append(rules, selected("pod", wanted.Selector)...)
		name := end.Port
		switch {
		case end.Port != "":
			rules = append(rules, keep(end.Port, "__meta_kubernetes_pod_container_port_name"))
		case end.PortNumber != 0:
			rules = append(rules, keep(fmt.Sprint(end.PortNumber), "__meta_kubernetes_pod_container_port_number"))
		case end.TargetPort != nil:
			return nil, errors.New("targetPort of a PodMonitor is out of use: give port or portNumber")
		}
		rules = append(
			rules,
			named("namespace", "__meta_kubernetes_namespace"),
			named("container", "__meta_kubernetes_pod_container_name"),
			named("pod", "__meta_kubernetes_pod_name"),
		)
		rules = append(rules, carried("pod", wanted.PodTargetLabels)...)
		rules = append(rules, fixed("job", id)...)
		rules = append(rules, labelled("pod", wanted.JobLabel, "job")...)
		rules = append(rules, fixed("endpoint", name)...)
		made := end.job(fmt.Sprintf("podMonitor/%s/%d", id, index), rules, wanted)
		jobs = append(jobs, made.reading(folder, "pod", wanted.NamespaceSelector, namespace))
	}
	return jobs, nil
}

func parse(spec []byte) (monitor, error) {
	var wanted monitor
	decoder := json.NewDecoder(bytes.NewReader(spec))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wanted); err != nil {
		return wanted, fmt.Errorf("the lab's Prometheus cannot follow it: %w", err)
	}
	_, err := metav1.LabelSelectorAsSelector(&wanted.Selector)
	return wanted, err
}

// job returns what does not depend on the kind of monitor.
func (e endpoint) job(name string, rules []rule, wanted monitor) job {
	made := job{"job_name": name, "honor_labels": e.HonorLabels}
	for key, value := range map[string]string{
		"scrape_interval": e.Interval,
		"scrape_timeout":  e.ScrapeTimeout,
		"metrics_path":    e.Path,
		"scheme":          e.Scheme,
	} {
		if value != "" {
			made[key] = value
		}
	}
	for key, value := range map[string]*bool{
		"honor_timestamps": e.HonorTimestamps,
		"follow_redirects": e.FollowRedirects,
	} {
		if value != nil {
			made[key] = *value
		}
	}
	if e.Params != nil {
		made["params"] = e.Params
	}
	if wanted.SampleLimit != 0 {
		made["sample_limit"] = wanted.SampleLimit
	}
	made["relabel_configs"] = append(rules, own(e.Relabelings)...)
	if len(e.MetricRelabelings) > 0 {
		made["metric_relabel_configs"] = own(e.MetricRelabelings)
	}
	return made
}

// reading adds the files that hold the targets of the selected namespaces.
func (j job) reading(folder, role string, chosen namespaceSelector, namespace string) job {
	namespaces := chosen.MatchNames
	switch {
	case chosen.Any:
		namespaces = []string{"*"}
	case len(namespaces) == 0:
		namespaces = []string{namespace}
	}
	files := []string{}
	for _, name := range namespaces {
		files = append(files, folder+"/"+targetFile(role, name))
	}
	j["file_sd_configs"] = []any{map[string]any{"files": files, "refresh_interval": "10s"}}
	return j
}

// selected keeps the objects that the monitor selects by their labels.
func selected(kind string, selector metav1.LabelSelector) []rule {
	rules := []rule{}
	value := func(key string) string { return "__meta_kubernetes_" + kind + "_label_" + sanitized(key) }
	present := func(key string) string { return "__meta_kubernetes_" + kind + "_labelpresent_" + sanitized(key) }
	for _, key := range sorted(selector.MatchLabels) {
		rules = append(rules, keep("("+selector.MatchLabels[key]+");true", value(key), present(key)))
	}
	for _, wanted := range selector.MatchExpressions {
		matched := keep("true", present(wanted.Key))
		if len(wanted.Values) > 0 {
			matched = keep("("+strings.Join(wanted.Values, "|")+");true", value(wanted.Key), present(wanted.Key))
		}
		if wanted.Operator == metav1.LabelSelectorOpNotIn || wanted.Operator == metav1.LabelSelectorOpDoesNotExist {
			matched["action"] = "drop"
		}
		rules = append(rules, matched)
	}
	return rules
}

func keep(regex string, labels ...string) rule {
	return rule{"action": "keep", "source_labels": labels, "regex": regex}
}

func running(end endpoint) []rule {
	if end.FilterRunning != nil && !*end.FilterRunning {
		return nil
	}
	ended := keep("(Failed|Succeeded)", "__meta_kubernetes_pod_phase")
	ended["action"] = "drop"
	return []rule{ended}
}

func named(target, source string) rule {
	return rule{"source_labels": []string{source}, "target_label": target}
}

func fixed(target, value string) []rule {
	if value == "" {
		return nil
	}
	return []rule{{"target_label": target, "replacement": value}}
}

func carried(kind string, labels []string) []rule {
	rules := []rule{}
	for _, label := range labels {
		rules = append(rules, labelled(kind, label, sanitized(label))...)
	}
	return rules
}

func labelled(kind, label, target string) []rule {
	if label == "" {
		return nil
	}
	return []rule{{
		"source_labels": []string{"__meta_kubernetes_" + kind + "_label_" + sanitized(label)},
		"target_label":  target,
		"regex":         "(.+)",
		"replacement":   "${1}",
	}}
}

// own returns the monitor's own rules.
func own(given []relabeling) []rule {
	rules := []rule{}
	for _, one := range given {
		made := rule{}
		if len(one.SourceLabels) > 0 {
			made["source_labels"] = one.SourceLabels
		}
		if one.Separator != nil {
			made["separator"] = *one.Separator
		}
		if one.TargetLabel != "" {
			made["target_label"] = one.TargetLabel
		}
		if one.Regex != "" {
			made["regex"] = one.Regex
		}
		if one.Modulus != 0 {
			made["modulus"] = one.Modulus
		}
		if one.Replacement != nil {
			made["replacement"] = *one.Replacement
		}
		if one.Action != "" {
			made["action"] = strings.ToLower(one.Action)
		}
		rules = append(rules, made)
	}
	return rules
}

func sanitized(label string) string {
	return notInLabel.ReplaceAllString(label, "_")
}

func sorted[V any](of map[string]V) []string {
	keys := []string{}
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// encode returns JSON, which is YAML too.
func encode(value any) []byte {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		panic(err)
	}
	return append(text, '\n')
}
