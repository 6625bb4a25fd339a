import { widget } from "../mount";
import { PatternMapView } from "../views/pattern_map";

export default widget(PatternMapView, "Attention patterns");
