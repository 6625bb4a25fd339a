import { CompareMaps } from "../views/compare/compare_maps";
import { widget } from "./mount";

export default widget(CompareMaps, "Compare maps");
