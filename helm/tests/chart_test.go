// Package tests renders the chart as helm does, and reads what comes out as Kubernetes does.
package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	apps "k8s.io/api/apps/v1"
	scaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// valuesFiles are the three ways in which the chart is used.
var valuesFiles = []string{"small", "production", "everything"}

func valuesOf(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../ci", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(data, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// render returns the chart's manifests, by template, or helm's error.
func render(values map[string]any) (map[string]string, error) {
	chart, err := loader.LoadDir("..")
	if err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: "muniment", Namespace: "evidence", IsInstall: true, Revision: 1}, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// objects decodes each manifest into the type of its kind; a field that Kubernetes does not
// know is an error.
func objects(t *testing.T, name string) []any {
	t.Helper()
	files, err := render(valuesOf(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	for file, text := range files {
		if strings.HasSuffix(file, "NOTES.txt") || strings.HasSuffix(file, ".tpl") {
			continue
		}
		for doc := range strings.SplitSeq(text, "\n---\n") {
			if strings.TrimSpace(doc) == "" {
				continue
			}
			var head meta.TypeMeta
			if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
				t.Fatalf("%s: %v\n%s", file, err, doc)
			}
			o := kinds[head.APIVersion+" "+head.Kind]
			if o == nil {
				t.Fatalf("%s: %s %q is no kind that this test knows", file, head.APIVersion, head.Kind)
			}
			fresh := o()
			if err := yaml.UnmarshalStrict([]byte(doc), fresh); err != nil {
				t.Errorf("%s: %s: %v\n%s", file, head.Kind, err, doc)
			}
			all = append(all, fresh)
		}
	}
	return all
}

var kinds = map[string]func() any{
	"v1 ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1 Service":                              func() any { return &core.Service{} },
	"v1 ServiceAccount":                       func() any { return &core.ServiceAccount{} },
	"apps/v1 Deployment":                      func() any { return &apps.Deployment{} },
	"batch/v1 Job":                            func() any { return &batch.Job{} },
	"batch/v1 CronJob":                        func() any { return &batch.CronJob{} },
	"networking.k8s.io/v1 Ingress":            func() any { return &networking.Ingress{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() any { return &scaling.HorizontalPodAutoscaler{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
}

func one[T any](t *testing.T, all []any) *T {
	t.Helper()
	var found []*T
	for _, o := range all {
		if f, ok := o.(*T); ok {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of type %T", len(found), *new(T))
	}
	return found[0]
}

// pods are the templates of all pods.
func pods(all []any) map[string]core.PodTemplateSpec {
	out := map[string]core.PodTemplateSpec{}
	for _, o := range all {
		switch o := o.(type) {
		case *apps.Deployment:
			out["deployment"] = o.Spec.Template
		case *batch.Job:
			out["job"] = o.Spec.Template
		case *batch.CronJob:
			out["cronjob"] = o.Spec.JobTemplate.Spec.Template
		}
	}
	return out
}

// TestLint is helm lint, strict, with each values file.
func TestLint(t *testing.T) {
	for _, name := range valuesFiles {
		for _, m := range lint.RunAll("..", valuesOf(t, name), "evidence").Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, m)
			}
		}
	}
}

// TestManifests: Kubernetes knows every field, and the pods are locked down.
func TestManifests(t *testing.T) {
	for _, name := range valuesFiles {
		t.Run(name, func(t *testing.T) {
			all := objects(t, name)
			for what, pod := range pods(all) {
				checkPod(t, what, pod)
			}
			d := one[apps.Deployment](t, all)
			checkSelectors(t, all, d)
			checkDepository(t, d)
		})
	}
}

func checkPod(t *testing.T, what string, pod core.PodTemplateSpec) {
	t.Helper()
	s := pod.Spec
	if s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken || s.HostNetwork || s.HostPID || s.HostIPC {
		t.Errorf("%s: it has a token or the host's", what)
	}
	p := s.SecurityContext
	if p == nil || p.RunAsNonRoot == nil || !*p.RunAsNonRoot || p.RunAsUser == nil || *p.RunAsUser == 0 || p.SeccompProfile == nil || p.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: security context %+v", what, p)
	}
	volumes := map[string]bool{}
	for _, v := range s.Volumes {
		volumes[v.Name] = true
		if v.HostPath != nil {
			t.Errorf("%s: volume %s is the host's", what, v.Name)
		}
	}
	for _, c := range s.Containers {
		x := c.SecurityContext
		if x == nil || x.AllowPrivilegeEscalation == nil || *x.AllowPrivilegeEscalation || x.ReadOnlyRootFilesystem == nil || !*x.ReadOnlyRootFilesystem ||
			x.Capabilities == nil || !slices.Contains(x.Capabilities.Drop, "ALL") || len(x.Capabilities.Add) > 0 {
			t.Errorf("%s: container %s: %+v", what, c.Name, x)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
			t.Errorf("%s: container %s has no bounds", what, c.Name)
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: nothing is mounted at %s", what, m.MountPath)
			}
		}
		for _, e := range c.Env {
			if secret := regexp.MustCompile(`PASSWORD|SECRET|KEY|TOKEN`).MatchString(e.Name); secret && (e.Value != "" || e.ValueFrom.SecretKeyRef == nil) {
				t.Errorf("%s: %s is written out", what, e.Name)
			}
		}
		if strings.Contains(c.Image, ":latest") || !strings.ContainsAny(filepath.Base(c.Image), ":@") {
			t.Errorf("%s: image %s", what, c.Image)
		}
	}
}

// checkSelectors: who selects pods selects the depository's alone.
func checkSelectors(t *testing.T, all []any, d *apps.Deployment) {
	t.Helper()
	fits := func(selector, labels map[string]string) bool {
		for k, v := range selector {
			if labels[k] != v {
				return false
			}
		}
		return len(selector) > 0
	}
	own := d.Spec.Template.Labels
	for _, selector := range []map[string]string{
		d.Spec.Selector.MatchLabels, one[core.Service](t, all).Spec.Selector, one[policy.PodDisruptionBudget](t, all).Spec.Selector.MatchLabels,
	} {
		if !fits(selector, own) {
			t.Errorf("%v does not select the pods %v", selector, own)
		}
		for what, pod := range pods(all) {
			if what != "deployment" && fits(selector, pod.Labels) {
				t.Errorf("%v selects the %s", selector, what)
			}
		}
	}
}

func checkDepository(t *testing.T, d *apps.Deployment) {
	t.Helper()
	c := d.Spec.Template.Spec.Containers[0]
	if c.StartupProbe == nil || c.LivenessProbe == nil || c.ReadinessProbe == nil || c.ReadinessProbe.HTTPGet.Path != "/readyz" || c.LivenessProbe.HTTPGet.Path != "/healthz" {
		t.Error("a probe is missing, or asks the wrong thing")
	}
	if grace := *d.Spec.Template.Spec.TerminationGracePeriodSeconds; grace < 20 {
		t.Errorf("a stop is cut off after %d s", grace)
	}
	if len(d.Spec.Template.Spec.TopologySpreadConstraints) < 2 {
		t.Error("replicas are not spread")
	}
}

// TestSettings: what stands in the ConfigMap is what munimentd knows, and it says so itself.
func TestSettings(t *testing.T) {
	munimentd := filepath.Join(t.TempDir(), "munimentd")
	build := exec.Command("go", "build", "-o", munimentd, "./cmd/munimentd")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range valuesFiles {
		for _, o := range objects(t, name) {
			c, ok := o.(*core.ConfigMap)
			if !ok || c.Data["munimentd.yaml"] == "" {
				continue
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "settings.yaml")
			if err := os.WriteFile(file, []byte(c.Data["munimentd.yaml"]), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(munimentd, "config", "--dir", dir, "--config", file)
			cmd.Env = append(os.Environ(), "MUNIMENT_BLOBS_S3_SECRET_KEY=x", "MUNIMENT_BLOBS_S3_ACCESS_KEY=x")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v\n%s\n%s", name, err, out, c.Data["munimentd.yaml"])
			}
			if !strings.Contains(string(out), "0.0.0.0:8080") {
				t.Errorf("%s: %s", name, out)
			}
		}
	}
}

// TestBadValues: a value that would be passed over is refused, and so is what must be said.
func TestBadValues(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"an unknown value":            func(v map[string]any) { v["replica"] = 3 },
		"no registry":                 func(v map[string]any) { v["image"] = map[string]any{} },
		"a secret in the environment": func(v map[string]any) { v["environment"] = []any{map[string]any{"name": "PGPASSWORD", "value": "x"}} },
		"an ingress in the clear":     func(v map[string]any) { v["ingress"] = map[string]any{"enabled": true, "host": "x.example"} },
		"the log's key in a ConfigMap": func(v map[string]any) {
			v["settings"].(map[string]any)["log-key"] = map[string]any{"pem": "-----BEGIN PRIVATE KEY-----"}
		},
		"a token's PIN in a ConfigMap": func(v map[string]any) {
			v["settings"].(map[string]any)["log-key"] = map[string]any{"pkcs11": map[string]any{"pin": "1234"}}
		},
		"a store's secret in a ConfigMap": func(v map[string]any) {
			v["settings"].(map[string]any)["blobs"].(map[string]any)["s3"].(map[string]any)["secret-key"] = "x"
		},
		"a password in a URL": func(v map[string]any) {
			v["settings"].(map[string]any)["ledger"].(map[string]any)["postgres"].(map[string]any)["url"] = "postgres://u:secret@h/d"
		},
		"TLS of its own, which no probe speaks": func(v map[string]any) { v["settings"].(map[string]any)["tls"] = map[string]any{"certificate": "/x"} },
		"a file from nowhere":                   func(v map[string]any) { v["files"] = []any{map[string]any{"path": "/x", "key": "k"}} },
	} {
		values := valuesOf(t, "small")
		change(values)
		if _, err := render(values); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// TestAlerts: promtool finds every rule sound, and each fires on what it is for.
func TestAlerts(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "muniment", "promtool-*"))
	if len(found) == 0 {
		t.Fatal("`make deps` builds promtool")
	}
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", "../files/alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		if out, err := exec.Command(found[0], args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	tests, err := os.ReadFile("alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, "../files/alerts.yaml"), -1) {
		if n := strings.Count(string(tests), "alertname: "+m[1]); n != 2 {
			t.Errorf("%s is tried %d times, not once ill and once healthy", m[1], n)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var metric = regexp.MustCompile(`muniment_[a-z0-9_]+`)

// TestMetrics: rules and dashboard ask for metrics that there are, and whatever DESIGN.md
// says is to be watched is on one of them.
func TestMetrics(t *testing.T) {
	known := map[string]bool{}
	for _, folder := range []string{"../../notary", "../../notary/cosign", "../../notary/webhook", "../../service", "../../cmd/munimentd", "../../cmd/muniment"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				for _, m := range metric.FindAllString(read(t, f), -1) {
					known[m] = true
				}
			}
		}
	}
	asked := read(t, "../files/alerts.yaml") + read(t, "../files/dashboard.json")
	for _, m := range metric.FindAllString(asked, -1) {
		base := strings.TrimSuffix(m, "_bucket")
		if !known[m] && !known[base] {
			t.Errorf("nobody measures %s", m)
		}
	}
	_, watch, ok := strings.Cut(read(t, "../../DESIGN.md"), "## What to watch")
	if !ok {
		t.Fatal("DESIGN.md does not say what to watch")
	}
	watch, _, _ = strings.Cut(watch, "\n## ")
	count := 0
	for _, line := range strings.Split(watch, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			count++
			if !strings.Contains(asked, "muniment_"+m[1]) {
				t.Errorf("%s is to be watched, and neither a rule nor the dashboard has it", m[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d metrics are to be watched", count)
	}
}

// TestDockerfile runs the build that the Dockerfile has, in a copy of the tree.
func TestDockerfile(t *testing.T) {
	text := read(t, "../../Dockerfile")
	m := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*)$`).FindStringSubmatch(text)
	flags := regexp.MustCompile(`(?m)^RELEASE_FLAGS := (.*)$`).FindStringSubmatch(read(t, "../../Makefile"))
	if m == nil || flags == nil || !strings.Contains(m[1], "go build "+flags[1]+" ") {
		t.Fatalf("the Dockerfile does not build as the Makefile does: %v, %v", m, flags)
	}
	out := t.TempDir()
	cmd := exec.Command("sh", "-ec", strings.Replace(m[1], "-o /out/", "-o "+out+"/", 1))
	cmd.Dir = "../.."
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, copied := range regexp.MustCompile(`/out/(\S+)`).FindAllStringSubmatch(text[strings.Index(text, "FROM scratch"):], -1) {
		file, err := os.ReadFile(filepath.Join(out, copied[1]))
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(file), "ld-linux") && strings.Contains(string(file), "/lib64/ld-linux") {
			t.Errorf("%s needs a dynamic linker, which an image from scratch has not", copied[1])
		}
	}
	goVersion := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../../go.mod"))[1]
	if !strings.Contains(text, "FROM golang:"+goVersion[:strings.LastIndex(goVersion, ".")]) {
		t.Errorf("the Dockerfile builds with another Go than %s", goVersion)
	}
	if !regexp.MustCompile(`(?m)^USER [1-9][0-9]*`).MatchString(text) {
		t.Error("the image runs as root, or under a name that Kubernetes cannot judge")
	}
}
