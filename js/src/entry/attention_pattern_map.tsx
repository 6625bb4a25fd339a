import { PatternMapView } from "../views/patterns/pattern_map";
import { widget } from "./mount";

export default widget(PatternMapView, "Attention patterns");
