#pragma once
// A comparison for people (a table, a drawing) and for programs.

#include <string>

#include "sim/experiment.h"

namespace drover::sim {

std::string capacities_text(const Capacities& capacities);
// Shaped as a comparison's, with one metric: "rate", in requests a second.
std::string capacities_json(const Capacities& capacities);
std::string matrix_text(const Matrix& matrix);
std::string matrix_json(const Matrix& matrix);
std::string comparison_text(const Comparison& comparison);
std::string comparison_json(const Comparison& comparison);
// Bars with their intervals, one panel for each of the metrics that tell most.
std::string comparison_svg(const Comparison& comparison);

}  // namespace drover::sim
