// Command render prints what kustomize and Helm make of a folder, for tests.
//
//	render kustomize FOLDER
//	render helm CHART RELEASE NAMESPACE < VALUES.yaml
package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	text, err := render(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}

func render(arguments []string) (string, error) {
	switch {
	case len(arguments) == 2 && arguments[0] == "kustomize":
		return kustomize(arguments[1])
	case len(arguments) == 4 && arguments[0] == "helm":
		return helm(arguments[1], arguments[2], arguments[3])
	}
	return "", fmt.Errorf("wanted: kustomize FOLDER, or helm CHART RELEASE NAMESPACE with values on stdin")
}

// kustomize is what `kustomize build FOLDER` prints.
func kustomize(folder string) (string, error) {
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return "", err
	}
	text, err := objects.AsYaml()
	return string(text), err
}

// helm is what `helm template RELEASE CHART --namespace NAMESPACE --values -` prints, in the order of
// the files' names.
func helm(folder, release, namespace string) (string, error) {
	chart, err := loader.LoadDir(folder)
	if err != nil {
		return "", err
	}
	if err := chart.Validate(); err != nil {
		return "", err
	}
	given, err := io.ReadAll(os.Stdin)
	if err != nil {
		return "", err
	}
	values, err := chartutil.ReadValues(given)
	if err != nil {
		return "", err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	// Checks the values against values.schema.json too.
	top, err := chartutil.ToRenderValues(chart, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(chart, top)
	if err != nil {
		return "", err
	}
	var names []string
	for name := range files {
		if strings.HasSuffix(name, ".yaml") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var text strings.Builder
	for _, name := range names {
		if strings.TrimSpace(files[name]) != "" {
			fmt.Fprintf(&text, "---\n%s\n", strings.TrimSpace(files[name]))
		}
	}
	return text.String(), nil
}
